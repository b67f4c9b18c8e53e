"""Part 3: attention forward and backward by FlashAttention-2 and cuDNN, as PyTorch's scaled_dot_product_attention runs them."""

import math

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from suite import burst, spread

KERNELS = {"FlashAttention-2": SDPBackend.FLASH_ATTENTION, "cuDNN": SDPBackend.CUDNN_ATTENTION}
TOKENS = 16384  # of every case: shorter sequences come in larger batches
# heads, key-value heads, size of a head
HEADS = [(32, 32, 128), (32, 8, 128), (32, 32, 64)]


TOLERANCE = 1e-2  # bf16 operands and probabilities: each is rounded by up to 2^-9


def relative_error(value, reference):
    """Of a whole tensor, by norms; None where the values are no numbers."""
    error = ((value.double() - reference).norm() / reference.norm()).item()
    return error if math.isfinite(error) else None


def check(suite, kernel, backend):
    """Forward and backward pass of small shapes against float64: softmax(q k^T / sqrt(d)) v written out."""
    device = suite.device
    for heads, kv_heads, head_dim in ((4, 4, 128), (4, 2, 128), (4, 4, 64)):
        for causal in (True, False):
            def run():
                leaves = [torch.randn(2, count, 192, head_dim, device=device, dtype=torch.bfloat16).requires_grad_()
                          for count in (heads, kv_heads, kv_heads)]
                gradient = torch.randn(2, heads, 192, head_dim, device=device, dtype=torch.bfloat16)
                with sdpa_kernel(backend):
                    out = torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=causal, enable_gqa=heads != kv_heads)
                found = [out, *torch.autograd.grad(out, leaves, gradient)]
                exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
                q, k, v = exact[0], *(leaf.repeat_interleave(heads // kv_heads, dim=1) for leaf in exact[1:])
                scores = q @ k.transpose(-2, -1) / head_dim ** 0.5
                if causal:
                    scores = scores.masked_fill(torch.ones(192, 192, device=device).triu(1).bool(), float("-inf"))
                right = scores.softmax(-1) @ v
                expected = [right, *torch.autograd.grad(right, exact, gradient.double())]
                errors = [relative_error(a.detach(), b.detach()) for a, b in zip(found, expected)]
                error = None if None in errors else max(errors)
                return {"record": "attention_check", "relative_error": error, "tolerance": TOLERANCE,
                        "right": error is not None and error <= TOLERANCE}

            suite.case(run, needs_s=1.0, kernel=kernel, heads=heads, kv_heads=kv_heads, head_dim=head_dim, causal=causal)


def measure(suite):
    device = suite.device
    for kernel, backend in KERNELS.items():
        check(suite, kernel, backend)
    for seq in (4096, 2048, 8192, 16384, 32768):
        for heads, kv_heads, head_dim in HEADS:
            for causal in (True, False):
                for kernel, backend in KERNELS.items():
                    batch = max(1, TOKENS // seq)

                    def tensors():
                        def tensor(count):
                            return torch.randn(batch, seq, count, head_dim, device=device, dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
                        return tensor(heads), tensor(kv_heads), tensor(kv_heads)

                    def attend(q, k, v):
                        with sdpa_kernel(backend):
                            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=heads != kv_heads)

                    def record(direction, seconds, how):
                        flops = 4.0 * batch * heads * seq * seq * head_dim * (0.5 if causal else 1.0) * (2.5 if direction == "bwd" else 1.0)
                        time = spread(seconds)
                        return {"record": "attention", "launched_by": how, "flops_per_s": flops / time["median"], "time_s": time}

                    def forward():
                        q, k, v = tensors()
                        with torch.no_grad():
                            return record("fwd", *burst([lambda: attend(q, k, v)], repeats=6, pause_s=0.01))

                    def backward():
                        q, k, v = tensors()
                        out = attend(q, k, v)
                        gradient = torch.randn_like(out)
                        call = lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True)
                        return record("bwd", *burst([call], repeats=6, pause_s=0.01, capture=False))

                    what = {"kernel": kernel, "dtype": "bf16", "batch": batch, "seq": seq, "heads": heads, "kv_heads": kv_heads,
                            "head_dim": head_dim, "causal": causal}
                    suite.case(forward, needs_s=1.0, **what, direction="fwd")
                    suite.case(backward, needs_s=1.0, **what, direction="bwd")
