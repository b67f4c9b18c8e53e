"""Layers of image networks, as the parts on convolutions and image kernels measure them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Convolution:
    """Square images and filters, or (height, width) pairs; `count`: how often a network has it."""

    height: int
    width: int
    channels: int
    filters: int
    filter_height: int
    filter_width: int
    pad: tuple
    stride: int
    origin: str
    count: int = 1

    @property
    def out_height(self):
        return (self.height + 2 * self.pad[0] - self.filter_height) // self.stride + 1

    @property
    def out_width(self):
        return (self.width + 2 * self.pad[1] - self.filter_width) // self.stride + 1


def square(side, channels, filters, size, stride, origin, count=1):
    return Convolution(side, side, channels, filters, size, size, (size // 2, size // 2), stride, origin, count)


def resnet50():
    """The 53 convolutions of ResNet-50 (strides in the 3x3, as torchvision and MLPerf have them), each kind once."""
    out = [square(224, 3, 64, 7, 2, "resnet-50 stem")]
    side, channels = 56, 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        name = f"resnet-50 stage {stage + 1}"
        stride = 1 if stage == 0 else 2
        inner = side // stride
        first = square(side, channels, width, 1, 1, name)
        again = square(inner, 4 * width, width, 1, 1, name, blocks - 1)
        out += [first, again]
        if stride == 1:
            out.append(square(inner, width, width, 3, 1, name, blocks))
            out.append(square(inner, width, 4 * width, 1, 1, name, blocks + 1))  # the shortcut's among them: 64 to 256
        else:
            out.append(square(side, width, width, 3, stride, name))
            out.append(square(inner, width, width, 3, 1, name, blocks - 1))
            out.append(square(inner, width, 4 * width, 1, 1, name, blocks))
            out.append(square(side, channels, 4 * width, 1, stride, name))
        side, channels = inner, 4 * width
    return out


def vgg16():
    layers = [(224, 3, 64, 1), (224, 64, 64, 1), (112, 64, 128, 1), (112, 128, 128, 1), (56, 128, 256, 1), (56, 256, 256, 2),
              (28, 256, 512, 1), (28, 512, 512, 2), (14, 512, 512, 3)]
    return [square(side, channels, filters, 3, 1, "vgg-16", count) for side, channels, filters, count in layers]


def deepbench():
    """Shapes of Baidu DeepBench's training table that the networks above do not have: height, width, channels, filters, size, pad, stride."""
    shapes = [(161, 700, 1, 32, (5, 20), 0, 2), (79, 341, 32, 32, (5, 10), 0, 2), (480, 48, 1, 16, (3, 3), 1, 1),
              (240, 24, 16, 32, (3, 3), 1, 1), (120, 12, 32, 64, (3, 3), 1, 1), (60, 6, 64, 128, (3, 3), 1, 1),
              (108, 108, 3, 64, (3, 3), 1, 2), (54, 54, 64, 64, (3, 3), 1, 1), (27, 27, 128, 128, (3, 3), 1, 1),
              (14, 14, 128, 256, (3, 3), 1, 1), (7, 7, 256, 512, (3, 3), 1, 1), (28, 28, 192, 32, (5, 5), 2, 1),
              (28, 28, 192, 64, (1, 1), 0, 1), (14, 14, 512, 48, (5, 5), 2, 1), (14, 14, 512, 192, (1, 1), 0, 1),
              (7, 7, 832, 256, (1, 1), 0, 1), (7, 7, 832, 128, (5, 5), 2, 1)]
    return [Convolution(height, width, channels, filters, size[0], size[1], (pad, pad), stride, "deepbench")
            for height, width, channels, filters, size, pad, stride in shapes]
