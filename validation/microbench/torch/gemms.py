"""Part 1: GEMMs of transformer layers as PyTorch runs them: cuBLASLt's choice, in bursts and sustained.

bf16 in the three passes of a linear layer; fp8 (e4m3, per-tensor scales) with and without fast accumulation. A is [m, k],
B [k, n], both row-major in the records; the layout says how they lay in memory (T: transposed), as cuBLAS counts.
"""

import torch

from suite import burst, copies_for_cold, spread, sustained

# m (tokens), n (outputs), k (inputs) of the forward pass; whose layer it is.
LAYERS = [
    (8192, 6144, 4096, "llama-3-8b qkv"),
    (8192, 4096, 4096, "llama-3-8b attention_output"),
    (8192, 28672, 4096, "llama-3-8b mlp_up"),
    (8192, 4096, 14336, "llama-3-8b mlp_down"),
    (8192, 128256, 4096, "llama-3-8b head"),
    (8192, 7168, 8192, "llama-3-70b mlp_up, tp 8"),
    (8192, 8192, 3584, "llama-3-70b mlp_down, tp 8"),
    (8192, 1280, 8192, "llama-3-70b qkv, tp 8"),
    (2048, 6144, 12288, "gpt3-175b mlp_up, tp 8"),
    (8192, 8192, 8192, "square"),
]
PASSES = {"forward": "TN", "dgrad": "NN", "wgrad": "NT"}


def shape_of(pass_name, m, n, k):
    """Rows, columns and inner length of the pass: dX = dY W, dW = dY^T X."""
    return {"forward": (m, n, k), "dgrad": (m, k, n), "wgrad": (n, k, m)}[pass_name]


def bf16_calls(device, pass_name, m, n, k):
    rows, columns, inner = shape_of(pass_name, m, n, k)
    count = copies_for_cold(device, 2 * (rows * inner + inner * columns), most=8)
    calls = []
    for _ in range(count):
        if pass_name == "forward":
            a, b = torch.randn(m, k, device=device, dtype=torch.bfloat16), torch.randn(n, k, device=device, dtype=torch.bfloat16).t()
        elif pass_name == "dgrad":
            a, b = torch.randn(m, n, device=device, dtype=torch.bfloat16), torch.randn(n, k, device=device, dtype=torch.bfloat16)
        else:
            a, b = torch.randn(m, n, device=device, dtype=torch.bfloat16).t(), torch.randn(m, k, device=device, dtype=torch.bfloat16)
        out = torch.empty(rows, columns, device=device, dtype=torch.bfloat16)
        calls.append(lambda a=a, b=b, out=out: torch.mm(a, b, out=out))
    return calls


def fp8_calls(device, m, n, k, fast, gradient=False):
    count = copies_for_cold(device, m * k + k * n, most=8)
    one = torch.ones((), device=device)
    first = torch.float8_e5m2 if gradient else torch.float8_e4m3fn
    calls = []
    for _ in range(count):
        a = torch.randn(m, k, device=device, dtype=torch.bfloat16).to(first)
        b = torch.randn(n, k, device=device, dtype=torch.bfloat16).to(torch.float8_e4m3fn).t()
        calls.append(lambda a=a, b=b: torch._scaled_mm(a, b, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=fast))
    return calls


def record(rows, columns, inner, seconds, **more):
    time = spread(seconds)
    return {"record": "gemm", "m": rows, "n": columns, "k": inner, "batch": 1, "out_dtype": "bf16", "accumulate": False,
            "algorithm": "torch", "cache": "cold", "flops_per_s": 2.0 * rows * columns * inner / time["median"], "time_s": time, **more}


SUSTAINED_SECONDS = 3.0


def measure(suite):
    seconds = SUSTAINED_SECONDS
    device = suite.device
    variants = [("bf16", p, {}) for p in PASSES] + [("fp8", "forward", {"fast_accumulate": True}), ("fp8", "forward", {"fast_accumulate": False})]
    for mode in ("burst", "sustained"):
        for m, n, k, origin in LAYERS:
            for dtype, pass_name, more in variants:
                if mode == "sustained" and pass_name != "forward":
                    continue
                rows, columns, inner = shape_of(pass_name, m, n, k)

                def run():
                    calls = (bf16_calls(device, pass_name, m, n, k) if dtype == "bf16"
                             else fp8_calls(device, m, n, k, more["fast_accumulate"]))
                    if mode == "burst":
                        times, _ = burst(calls)
                        found = {}
                    else:
                        times, found = sustained(suite, calls, seconds)
                    return record(rows, columns, inner, times, mode=mode, **found)

                suite.case(run, needs_s=1.0 if mode == "burst" else seconds + 2, dtype=dtype, layout=PASSES[pass_name],
                           origin=origin, **{"pass": pass_name}, **more)
