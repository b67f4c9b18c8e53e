"""Part 4: what frameworks launch beside a layer's own kernels: copies of FSDP, optimizers, norms of gradients, casts.

Every case moves more than the L2 cache holds, or walks through copies that together do. `traffic_bytes` counts what the
operation must read and write once; what a library moves beyond that shows as a low rate.
"""

import torch

from suite import burst, copies_for_cold, spread

SIZES = [1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28]  # elements
LAYER = [(6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (4096,), (4096,)]  # parameters of a layer of llama-3-8b


def measure(suite):
    device = suite.device

    def case(kernel, dtype, shape, traffic, make, kind="elementwise", cold=True, capture=True):
        def run():
            count = copies_for_cold(device, traffic, most=16) if cold else 1
            calls = [make() for _ in range(count)]
            seconds, how = burst(calls, repeats=8, pause_s=0.005, capture=capture)
            time = spread(seconds)
            return {"record": "membound", "traffic_bytes": float(traffic), "bytes_per_s": traffic / time["median"],
                    "launched_by": how, "time_s": time}
        suite.case(run, needs_s=1.0, kernel=kernel, kind=kind, dtype=dtype, shape=shape, cache="cold" if cold else "warm")

    def tensor(count, dtype=torch.bfloat16):
        return torch.randn(count, device=device).to(dtype)

    for n in SIZES:
        def copy(n=n):
            source, target = tensor(n), torch.empty(n, device=device, dtype=torch.bfloat16)
            return lambda: target.copy_(source)
        case("copy", "bf16", str(n), 4 * n, copy)

        def cast_down(n=n):
            source, target = tensor(n, torch.float32), torch.empty(n, device=device, dtype=torch.bfloat16)
            return lambda: target.copy_(source)
        case("cast_fp32_bf16", "fp32", str(n), 6 * n, cast_down)

        def cast_up(n=n):
            source, target = tensor(n), torch.empty(n, device=device, dtype=torch.float32)
            return lambda: target.copy_(source)
        case("cast_bf16_fp32", "bf16", str(n), 6 * n, cast_up)

        def accumulate(n=n):
            gradient, main = tensor(n), torch.zeros(n, device=device)
            return lambda: main.add_(gradient)
        case("accumulate_bf16_into_fp32", "bf16", str(n), 10 * n, accumulate)

        def norm(n=n):
            gradient = tensor(n, torch.float32)
            return lambda: torch.linalg.vector_norm(gradient)
        case("vector_norm", "fp32", str(n), 4 * n, norm, kind="reduction")

    # Optimizers and norms over the parameters of whole layers, as torch.optim and clip_grad_norm_ launch them.
    for layers in (1, 4):
        count = layers * sum(torch.Size(shape).numel() for shape in LAYER)
        for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
            width = dtype.itemsize
            for kind in ("fused", "foreach"):
                def adamw(kind=kind, dtype=dtype, layers=layers):
                    parameters = [torch.nn.Parameter(torch.randn(shape, device=device, dtype=dtype)) for _ in range(layers) for shape in LAYER]
                    for parameter in parameters:
                        parameter.grad = torch.randn_like(parameter)
                    optimizer = torch.optim.AdamW(parameters, lr=1e-9, **{kind: True})
                    return optimizer.step
                # read parameter, gradient, two moments; write parameter and moments
                case(f"adamw_{kind}", name, f"{layers} layers, {count}", 7 * width * count, adamw, cold=False, capture=False)

            def clip(dtype=dtype, layers=layers):
                parameters = [torch.nn.Parameter(torch.randn(shape, device=device, dtype=dtype)) for _ in range(layers) for shape in LAYER]
                for parameter in parameters:
                    parameter.grad = torch.randn_like(parameter)
                return lambda: torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            case("clip_grad_norm", name, f"{layers} layers, {count}", 3 * width * count, clip, kind="reduction", cold=False, capture=False)

    # FSDP2: a layer's shards into the buffer of its all-gather and out of it; gradients into the buffer of the reduce-scatter.
    count = sum(torch.Size(shape).numel() for shape in LAYER)
    for ranks in (8, 64):
        splits = [torch.Size(shape).numel() // ranks for shape in LAYER]
        for dtype, name in ((torch.bfloat16, "bf16"), (torch.float32, "fp32")):
            width = dtype.itemsize

            def copy_in(ranks=ranks, splits=splits, dtype=dtype):
                shards = [torch.randn(split, device=device).to(dtype) for split in splits]
                buffer = torch.empty(sum(splits), device=device, dtype=dtype)
                parts = list(buffer.split(splits))
                return lambda: torch._foreach_copy_(parts, shards)
            case("fsdp_copy_in", name, f"{ranks} ranks, {count}", 2 * width * sum(splits), copy_in)

            def copy_out(ranks=ranks, splits=splits, dtype=dtype):
                gathered = torch.randn(ranks, sum(splits), device=device).to(dtype)
                outs = [torch.empty(ranks, split, device=device, dtype=dtype) for split in splits]
                return lambda: torch.split_with_sizes_copy(gathered, splits, dim=1, out=outs)
            case("fsdp_split_with_sizes_copy", name, f"{ranks} ranks, {count}", 2 * width * count, copy_out)

            def chunk_cat(ranks=ranks, dtype=dtype, splits=splits):
                gradients = [torch.randn(shape, device=device).to(dtype) for shape in LAYER]
                buffer = torch.empty(ranks, sum(splits), device=device, dtype=torch.float32)
                return lambda: torch._chunk_cat(gradients, dim=0, num_chunks=ranks, out=buffer)
            case("fsdp_chunk_cat", name, f"{ranks} ranks, {count}", (width + 4) * count, chunk_cat)

    # Rows of a layer, as modules launch them: norms, activations, the loss.
    for tokens, hidden, ffn in ((8192, 4096, 14336), (8192, 8192, 28672), (4096, 5120, 13824)):
        def rms_norm():
            x, weight = tensor(tokens * hidden).view(tokens, hidden), tensor(hidden)
            return lambda: torch.nn.functional.rms_norm(x, (hidden,), weight)
        case("rms_norm", "bf16", f"{tokens}x{hidden}", 4 * tokens * hidden, rms_norm, kind="reduction")

        def layer_norm():
            x, weight, bias = tensor(tokens * hidden).view(tokens, hidden), tensor(hidden), tensor(hidden)
            return lambda: torch.nn.functional.layer_norm(x, (hidden,), weight, bias)
        case("layer_norm", "bf16", f"{tokens}x{hidden}", 4 * tokens * hidden, layer_norm, kind="reduction")

        def silu():
            x = tensor(tokens * ffn).view(tokens, ffn)
            return lambda: torch.nn.functional.silu(x)
        case("silu", "bf16", f"{tokens}x{ffn}", 4 * tokens * ffn, silu)

        def product():
            x, y = tensor(tokens * ffn).view(tokens, ffn), tensor(tokens * ffn).view(tokens, ffn)
            return lambda: x * y
        case("multiply", "bf16", f"{tokens}x{ffn}", 6 * tokens * ffn, product)

    for tokens, vocab in ((2048, 128256), (8192, 50304)):
        def log_softmax():
            logits = torch.randn(tokens, vocab, device=device)
            return lambda: torch.log_softmax(logits, dim=-1)
        case("log_softmax", "fp32", f"{tokens}x{vocab}", 8 * tokens * vocab, log_softmax, kind="reduction")
