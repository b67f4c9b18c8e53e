"""Part 8: what image networks launch beside convolutions: batch normalisation, ReLU, additions, pooling, forward and backward.

`traffic_bytes` counts each operand read once and each result written once: batch normalisation that sweeps its input twice shows as a
low rate. `kernels` are those the profiler saw in one call. Batch normalisation trains (statistics of the batch, running ones updated).
"""

import torch

from convolutions import FORMATS, kernels_of
from suite import burst, copies_for_cold, spread

# channels, side: what lies between ResNet-50's convolutions
SIZES = [(256, 56), (64, 112), (512, 28), (2048, 7), (64, 56), (1024, 14), (128, 28), (256, 14), (512, 7)]
# batch, format, layout
SWEEPS = [(256, "bf16", "nhwc"), (128, "fp32", "nchw"), (32, "bf16", "nhwc"), (256, "fp16", "nchw")]


def measure(suite):
    functional = torch.nn.functional
    for batch, name, layout in SWEEPS:
        dtype = FORMATS[name]
        order = torch.channels_last if layout == "nhwc" else torch.contiguous_format

        def images(channels, side):
            return torch.randn(batch, channels, side, side, device=suite.device).to(dtype).contiguous(memory_format=order)

        def case(kernel, channels, side, elements, make, kind="elementwise", capture=True):
            """`elements`: how many the operation must read and write."""
            traffic = dtype.itemsize * elements

            def run():
                calls = [make() for _ in range(copies_for_cold(suite.device, traffic, most=16))]
                seconds, how = burst(calls, repeats=8, pause_s=0.005, capture=capture)
                time = spread(seconds)
                return {"record": "membound", "traffic_bytes": float(traffic), "bytes_per_s": traffic / time["median"],
                        "launched_by": how, "time_s": time, "kernels": kernels_of(calls[0])}
            suite.case(run, needs_s=1.5, kernel=kernel, kind=kind, dtype=name, layout=layout,
                       shape=f"{batch}x{channels}x{side}x{side}", cache="cold")

        def backward_of(forward):
            """A call of the backward pass of forward(), which gives its inputs and its result."""
            inputs, out = forward()
            gradient = torch.randn_like(out)  # in the memory order of the result
            return lambda: torch.autograd.grad(out, inputs, gradient, retain_graph=True)

        for channels, side in SIZES:
            count = batch * channels * side * side

            def normalised():
                x = images(channels, side).requires_grad_()
                weight, bias = (torch.rand(channels, device=suite.device).requires_grad_() for _ in range(2))
                mean, variance = torch.zeros(channels, device=suite.device), torch.ones(channels, device=suite.device)
                return (x, weight, bias), lambda: functional.batch_norm(x, mean, variance, weight, bias, training=True)

            def batch_norm():
                _, call = normalised()

                def run():
                    with torch.no_grad():
                        return call()
                return run
            case("batch_norm_fwd", channels, side, 2 * count, batch_norm, kind="reduction")

            def batch_norm_backward():
                inputs, call = normalised()
                return backward_of(lambda: (inputs, call()))
            case("batch_norm_bwd", channels, side, 3 * count, batch_norm_backward, kind="reduction", capture=False)

            def relu():
                x = images(channels, side)
                return lambda: torch.relu_(x)
            case("relu_fwd", channels, side, 2 * count, relu)

            def relu_backward():
                result, gradient = torch.relu(images(channels, side)), images(channels, side)
                return lambda: torch.ops.aten.threshold_backward(gradient, result, 0)
            case("relu_bwd", channels, side, 3 * count, relu_backward)

            def add():
                x, shortcut = images(channels, side), images(channels, side)
                return lambda: x.add_(shortcut)
            case("add", channels, side, 3 * count, add)

        large, small = batch * 64 * 112 * 112, batch * 64 * 56 * 56

        def max_pool():
            x = images(64, 112)

            def run():
                with torch.no_grad():
                    return functional.max_pool2d(x, 3, 2, 1)
            return run
        case("max_pool_fwd", 64, 112, large + small, max_pool)

        def max_pool_backward():
            x = images(64, 112).requires_grad_()
            return backward_of(lambda: ((x,), functional.max_pool2d(x, 3, 2, 1)))
        case("max_pool_bwd", 64, 112, large + small, max_pool_backward, capture=False)

        def average_pool():
            x = images(2048, 7)
            return lambda: functional.adaptive_avg_pool2d(x, 1)
        case("average_pool_fwd", 2048, 7, batch * 2048 * 50, average_pool, kind="reduction")

        def average_pool_backward():
            x = images(2048, 7).requires_grad_()
            return backward_of(lambda: ((x,), functional.adaptive_avg_pool2d(x, 1)))
        case("average_pool_bwd", 2048, 7, batch * 2048 * 50, average_pool_backward, capture=False)
