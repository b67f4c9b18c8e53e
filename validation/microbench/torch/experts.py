"""Part 5: kernels of experts and of fp8 recipes: permutation, grouped GEMMs, amax, quantisation, transposition, scaled GEMMs."""

import torch

from suite import burst, copies_for_cold, spread

# tokens, hidden, width of an expert, experts on this GPU, experts of a token: mixtral-8x7b, deepseek-v3 at ep 32, qwen3-30b-a3b at ep 8
MODELS = [(8192, 4096, 14336, 8, 2), (8192, 7168, 2048, 8, 8), (8192, 2048, 768, 16, 8)]


def shares(rows, experts, skew, align=16):
    """Rows of every expert, in multiples of `align`: equal, or with popularity 1 / rank^skew."""
    weights = [1.0 / (rank + 1) ** skew for rank in range(experts)]
    counts = [int(rows * weight / sum(weights) / align) * align for weight in weights]
    counts[0] += rows - sum(counts)
    return counts


def measure(suite):
    device = suite.device

    def membound(kernel, dtype, shape, traffic, make, kind="elementwise"):
        def run():
            calls = [make() for _ in range(copies_for_cold(device, traffic, most=8))]
            seconds, how = burst(calls, repeats=8, pause_s=0.005)
            time = spread(seconds)
            return {"record": "membound", "traffic_bytes": float(traffic), "bytes_per_s": traffic / time["median"],
                    "launched_by": how, "time_s": time}
        suite.case(run, needs_s=1.0, kernel=kernel, kind=kind, dtype=dtype, shape=shape, cache="cold")

    for tokens, hidden, ffn, experts, top_k in MODELS:
        rows = tokens * top_k

        def permute():
            x = torch.randn(tokens, hidden, device=device).bfloat16()
            order = torch.randint(tokens, (rows,), device=device)
            return lambda: x.index_select(0, order)
        membound("permute_index_select", "bf16", f"{tokens}x{top_k}x{hidden}", 2 * hidden * (tokens + rows), permute)

        def unpermute():
            x = torch.randn(rows, hidden, device=device).bfloat16()
            order = torch.arange(tokens, device=device).repeat(top_k)[torch.randperm(rows, device=device)]
            out = torch.zeros(tokens, hidden, device=device, dtype=torch.bfloat16)
            return lambda: out.index_add_(0, order, x)
        membound("unpermute_index_add", "bf16", f"{tokens}x{top_k}x{hidden}", 2 * hidden * (rows + 2 * tokens), unpermute)

        for skew in (0.0, 0.5, 1.0):
            counts = shares(rows, experts, skew)
            for n, k, name in ((2 * ffn, hidden, "up"), (hidden, ffn, "down")):
                def grouped():
                    a = torch.randn(rows, k, device=device).bfloat16()
                    b = torch.randn(experts, n, k, device=device).bfloat16().transpose(-2, -1)
                    offsets = torch.tensor(counts, device=device).cumsum(0).to(torch.int32)
                    seconds, how = burst([lambda: torch._grouped_mm(a, b, offs=offsets)], repeats=8)
                    time = spread(seconds)
                    return {"record": "grouped_gemm", "rows": counts, "n": n, "k": k, "groups": experts, "out_dtype": "bf16",
                            "launched_by": how, "flops_per_s": 2.0 * rows * n * k / time["median"], "time_s": time}
                suite.case(grouped, needs_s=1.0, dtype="bf16", skew=skew, origin=name, kernel="torch._grouped_mm", **{"pass": "forward"})

                def weights():
                    a = torch.randn(rows, n, device=device).bfloat16().t()
                    b = torch.randn(rows, k, device=device).bfloat16()
                    offsets = torch.tensor(counts, device=device).cumsum(0).to(torch.int32)
                    seconds, how = burst([lambda: torch._grouped_mm(a, b, offs=offsets)], repeats=8)
                    time = spread(seconds)
                    return {"record": "grouped_gemm", "rows": counts, "n": n, "k": k, "groups": experts, "out_dtype": "bf16",
                            "launched_by": how, "flops_per_s": 2.0 * rows * n * k / time["median"], "time_s": time}
                if skew in (0.0, 1.0):
                    suite.case(weights, needs_s=1.0, dtype="bf16", skew=skew, origin=name, kernel="torch._grouped_mm", **{"pass": "wgrad"})

    for rows, columns in ((8192, 4096), (8192, 14336), (4096, 28672)):
        count = rows * columns

        def matrix():
            return torch.randn(rows, columns, device=device).bfloat16()

        def amax():
            x = matrix()
            return lambda: x.abs().max()
        membound("amax_abs_max", "bf16", f"{rows}x{columns}", 2 * count, amax, kind="reduction")

        def amax_fused():
            x = matrix()
            return lambda: torch.linalg.vector_norm(x, ord=float("inf"))
        membound("amax_norm_inf", "bf16", f"{rows}x{columns}", 2 * count, amax_fused, kind="reduction")

        def quantise():
            x, out = matrix(), torch.empty(rows, columns, device=device, dtype=torch.float8_e4m3fn)
            return lambda: out.copy_(x)
        membound("quantise_e4m3", "bf16", f"{rows}x{columns}", 3 * count, quantise)

        def transpose():
            x = matrix().to(torch.float8_e4m3fn).view(torch.uint8)
            out = torch.empty(columns, rows, device=device, dtype=torch.uint8)
            return lambda: out.copy_(x.t())
        membound("transpose_8bit", "fp8", f"{rows}x{columns}", 2 * count, transpose)

        def transpose16():
            x = matrix()
            out = torch.empty(columns, rows, device=device, dtype=torch.bfloat16)
            return lambda: out.copy_(x.t())
        membound("transpose_16bit", "bf16", f"{rows}x{columns}", 4 * count, transpose16)

    # fp8 GEMMs by the granularity of their scales: one a tensor, one a row, one a block of 128.
    for m, n, k, origin in ((8192, 28672, 4096, "llama-3-8b mlp_up"), (8192, 4096, 14336, "llama-3-8b mlp_down"), (8192, 8192, 8192, "square"),
                            (4096, 4096, 7168, "deepseek-v3 expert up"), (4096, 7168, 2048, "deepseek-v3 expert down")):
        for scaling in ("tensor", "row", "block"):
            for fast in (True, False):
                if scaling == "block" and fast:
                    continue

                def scaled():
                    a = torch.randn(m, k, device=device).bfloat16().to(torch.float8_e4m3fn)
                    b = torch.randn(n, k, device=device).bfloat16().to(torch.float8_e4m3fn).t()
                    if scaling == "tensor":
                        scale_a = scale_b = torch.ones((), device=device)
                    elif scaling == "row":
                        scale_a, scale_b = torch.ones(m, 1, device=device), torch.ones(1, n, device=device)
                    else:  # 1 x 128 of A, 128 x 128 of B, outer dimension first in memory
                        scale_a = torch.ones(k // 128, m, device=device).t()
                        scale_b = torch.ones(n // 128, k // 128, device=device).t()
                    call = lambda: torch._scaled_mm(a, b, scale_a=scale_a, scale_b=scale_b, out_dtype=torch.bfloat16, use_fast_accum=fast)
                    seconds, _ = burst([call])
                    time = spread(seconds)
                    return {"record": "gemm", "m": m, "n": n, "k": k, "batch": 1, "out_dtype": "bf16", "accumulate": False, "algorithm": "torch",
                            "flops_per_s": 2.0 * m * n * k / time["median"], "time_s": time}
                suite.case(scaled, needs_s=1.0, dtype="fp8", layout="TN", origin=origin, scaling=scaling, fast_accumulate=fast, cache="warm",
                           mode="burst", **{"pass": "forward"})
