"""Part 7: convolutions by cuDNN, each by itself: forward, gradient of the data, gradient of the weights.

Operands are random and cold (walked through copies that together exceed the L2 cache), calls captured in a CUDA graph. cuDNN tries
its algorithms on the first call (benchmark), as training scripts have it; `kernels` are those the profiler then saw in one call,
conversions of layout among them. First, small shapes of every format against float64.
"""

import math

import torch

from image_layers import Convolution, deepbench, resnet50, vgg16
from steps import on_device, trace_events
from suite import burst, copies_for_cold, spread

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": torch.float32, "fp32": torch.float32}
TOLERANCE = {"bf16": 1e-2, "fp16": 2e-3, "tf32": 2e-3, "fp32": 1e-4}
DIRECTIONS = ("fwd", "dgrad", "wgrad")

# layers, batch, format, layout; the most telling first
SWEEPS = [
    (resnet50, 256, "bf16", "nhwc"),
    (resnet50, 128, "tf32", "nchw"),
    (vgg16, 64, "bf16", "nhwc"),
    (resnet50, 64, "fp32", "nchw"),
    (resnet50, 32, "bf16", "nhwc"),
    (vgg16, 64, "tf32", "nchw"),
    (deepbench, 16, "fp16", "nchw"),
    (resnet50, 256, "fp16", "nchw"),
    (resnet50, 128, "tf32", "nhwc"),
    (vgg16, 32, "fp32", "nchw"),
    (deepbench, 8, "fp32", "nchw"),
    (resnet50, 256, "fp16", "nhwc"),
    (deepbench, 16, "fp16", "nhwc"),
]


def tensors(device, layer, batch, dtype, layout):
    """Image, filters and gradient of the result, random, in the memory order of the layout."""
    order = torch.channels_last if layout == "nhwc" else torch.contiguous_format

    def one(*shape):
        return torch.randn(shape, device=device).to(dtype).contiguous(memory_format=order)
    return (one(batch, layer.channels, layer.height, layer.width),
            one(layer.filters, layer.channels, layer.filter_height, layer.filter_width),
            one(batch, layer.filters, layer.out_height, layer.out_width))


def call_of(direction, layer, image, filters, gradient):
    """The call that computes one direction alone, its operands bound."""
    shape = ([layer.stride] * 2, list(layer.pad), [1, 1], False, [0, 0], 1)
    if direction == "fwd":
        return lambda: torch.ops.aten.convolution(image, filters, None, *shape)
    mask = [direction == "dgrad", direction == "wgrad", False]
    return lambda: torch.ops.aten.convolution_backward(gradient, image, filters, None, *shape, mask)


def kernels_of(call):
    """Names and times of what one call launches, in order."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    return [{"name": e["name"][:200], "time_s": e["dur"] * 1e-6} for e in on_device(trace_events(profiler))]


def set_format(name):
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = name != "fp32"


def check(suite):
    for name, dtype in FORMATS.items():
        for layout in ("nhwc", "nchw"):
            for layer in (Convolution(28, 28, 64, 64, 3, 3, (1, 1), 1, "check"), Convolution(28, 28, 64, 128, 1, 1, (0, 0), 2, "check")):
                for direction in DIRECTIONS:
                    def run():
                        set_format(name)
                        operands = tensors(suite.device, layer, 4, dtype, layout)
                        exact = [operand.double() for operand in operands]
                        pick = {"fwd": lambda out: out, "dgrad": lambda out: out[0], "wgrad": lambda out: out[1]}[direction]
                        found = pick(call_of(direction, layer, *operands)())
                        right = pick(call_of(direction, layer, *exact)())
                        error = ((found.double() - right).norm() / right.norm()).item()
                        error = error if math.isfinite(error) else None
                        return {"record": "convolution_check", "relative_error": error, "tolerance": TOLERANCE[name],
                                "right": error is not None and error <= TOLERANCE[name]}

                    suite.case(run, needs_s=1.0, kernel="cuDNN convolution", dtype=name, layout=layout, direction=direction,
                               filter=layer.filter_height, stride=layer.stride)


def sizes_of(layer, batch):
    """Elements of image, filters and result."""
    return (batch * layer.channels * layer.height * layer.width,
            layer.filters * layer.channels * layer.filter_height * layer.filter_width,
            batch * layer.filters * layer.out_height * layer.out_width)


def measure(suite):
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    check(suite)
    for layers, batch, name, layout in SWEEPS:
        dtype = FORMATS[name]
        for layer in layers():
            for direction in DIRECTIONS:
                if direction == "dgrad" and layer.channels <= 3:
                    continue  # of images nobody asks a gradient

                def run():
                    set_format(name)
                    image, filters, result = sizes_of(layer, batch)
                    traffic = dtype.itemsize * (image + filters + result)
                    calls = [call_of(direction, layer, *tensors(suite.device, layer, batch, dtype, layout))
                             for _ in range(copies_for_cold(suite.device, traffic, most=16))]
                    seconds, how = burst(calls, repeats=6, pause_s=0.005)
                    time = spread(seconds)
                    flops = 2.0 * result * layer.channels * layer.filter_height * layer.filter_width
                    return {"record": "convolution", "flops_per_s": flops / time["median"], "traffic_bytes": float(traffic),
                            "launched_by": how, "time_s": time, "kernels": kernels_of(calls[0])}

                suite.case(run, needs_s=2.0, kernel="cuDNN", dtype=name, layout=layout, direction=direction, batch=batch,
                           channels=layer.channels, height=layer.height, width=layer.width, filters=layer.filters,
                           filter_height=layer.filter_height, filter_width=layer.filter_width, pad_height=layer.pad[0],
                           pad_width=layer.pad[1], stride=layer.stride, groups=1, count=layer.count, origin=layer.origin,
                           cache="cold")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before
