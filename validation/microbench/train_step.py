#!/usr/bin/env python3
"""A real training step on one GPU: forward, backward and Adam of a transformer, its time and peak memory.

The model is the catalogue's (models/catalogue), whole or cut to as many layers as fit. Parameters are fp32, the forward
pass runs under bf16 autocast, attention is PyTorch's scaled_dot_product_attention, the optimizer torch.optim.AdamW with
fused kernels. Writes the suite's JSON lines. Needs PyTorch; exits with 77 without it or without a GPU.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import sys
import time

CATALOGUE = pathlib.Path(__file__).resolve().parents[2] / "models" / "catalogue"
MODELS = ["gpt2", "gpt2-medium", "gpt2-xl", "llama-3-8b"]
MICRO_BATCHES = [1, 2, 4, 8, 16]
LAYERS = 4  # of models whose whole does not fit: time and memory of a layer follow from two depths


def read_model(name):
    """The keys of the catalogue that a decoder needs."""
    spec = json.loads((CATALOGUE / f"{name}.json").read_text())
    return {
        "name": name,
        "layers": spec["layers"],
        "hidden": spec["hidden"],
        "heads": spec["heads"],
        "kv_heads": spec.get("kv_heads", spec["heads"]),
        "ffn": spec.get("ffn", 4 * spec["hidden"]),
        "vocab": spec["vocab"],
        "seq_len": spec["seq_len"],
        "gated": spec["family"] == "llama",
    }


def build(torch, model, layers, seq_len):
    """A decoder as a torch module. GPT-2's learned positions and Llama's gated MLP; biases as torch.nn.Linear has them."""
    nn = torch.nn
    functional = nn.functional
    hidden, heads, kv_heads = model["hidden"], model["heads"], model["kv_heads"]
    head_dim = hidden // heads
    bias = not model["gated"]

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = nn.RMSNorm(hidden) if model["gated"] else nn.LayerNorm(hidden)
            self.norm2 = nn.RMSNorm(hidden) if model["gated"] else nn.LayerNorm(hidden)
            self.qkv = nn.Linear(hidden, (heads + 2 * kv_heads) * head_dim, bias=bias)
            self.out = nn.Linear(heads * head_dim, hidden, bias=bias)
            self.up = nn.Linear(hidden, model["ffn"] * (2 if model["gated"] else 1), bias=bias)
            self.down = nn.Linear(model["ffn"], hidden, bias=bias)

        def forward(self, x):
            batch, sequence, _ = x.shape
            qkv = self.qkv(self.norm1(x)).view(batch, sequence, heads + 2 * kv_heads, head_dim).transpose(1, 2)
            q, k, v = qkv.split([heads, kv_heads, kv_heads], dim=1)
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=heads != kv_heads)
            x = x + self.out(attended.transpose(1, 2).reshape(batch, sequence, heads * head_dim))
            inner = self.up(self.norm2(x))
            if model["gated"]:
                gate, inner = inner.chunk(2, dim=-1)
                inner = functional.silu(gate) * inner
            else:
                inner = functional.gelu(inner, approximate="tanh")
            return x + self.down(inner)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(model["vocab"], hidden)
            self.positions = nn.Embedding(seq_len, hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            self.norm = nn.RMSNorm(hidden) if model["gated"] else nn.LayerNorm(hidden)
            self.head = nn.Linear(hidden, model["vocab"], bias=False)

        def forward(self, ids, targets):
            x = self.tokens(ids) + self.positions.weight
            for layer in self.layers:
                x = layer(x)
            logits = self.head(self.norm(x))
            return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Decoder()


def measure(torch, model, layers, micro_batch, device, repeats):
    """Seconds of every repeat, peak bytes and the last loss."""
    seq_len = min(model["seq_len"], 4096)
    torch.manual_seed(0)
    decoder = build(torch, model, layers, seq_len).to(device)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(model["vocab"], (micro_batch, seq_len + 1), device=device)
    torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for step in range(repeats + 3):  # the first steps allocate and pick kernels
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = decoder(ids[:, :-1], ids[:, 1:])
        loss.backward()
        optimizer.step()
        torch.cuda.synchronize(device)
        if step >= 3:
            seconds.append(time.perf_counter() - start)
    return {
        "record": "train_step",
        "model": model["name"],
        "layers": layers,
        "of_layers": model["layers"],
        "seq_len": seq_len,
        "micro_batch": micro_batch,
        "parameters": sum(p.numel() for p in decoder.parameters()),
        "recipe": "fp32 parameters, bf16 autocast, fused AdamW, no recomputation, learned positions",
        "time_s": spread(seconds),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device),
        "reserved_memory_bytes": torch.cuda.max_memory_reserved(device),
        "loss": float(loss.detach()),
    }


def spread(seconds):
    """Median, tenth and ninetieth percentile, as the suite's other parts write them."""
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    return {"median": statistics.median(seconds), "low": tenths[0], "high": tenths[-1], "repeats": len(seconds)}


def machine_record(torch, device):
    properties = torch.cuda.get_device_properties(device)
    return {
        "record": "machine",
        "format": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "gpu": properties.name,
        "gpus": torch.cuda.device_count(),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "cuda_runtime": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()),
        "torch": torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="-", help="file to append JSON lines to (default: standard output)")
    parser.add_argument("--seconds", type=float, default=300.0, help="stop starting new cases after so long")
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--models", nargs="*", default=MODELS, help="names in models/catalogue")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    models = [read_model(name) for name in options.models]
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: no training step was measured", file=sys.stderr)
        return 77
    if not torch.cuda.is_available() or torch.cuda.device_count() <= options.device:
        print(f"no CUDA device {options.device} here: nothing was measured", file=sys.stderr)
        return 77
    deadline = time.monotonic() + options.seconds
    device = torch.device("cuda", options.device)
    out = sys.stdout if options.out == "-" else open(options.out, "a", encoding="utf-8")
    left = 0

    def write(record):
        print(json.dumps(record), file=out, flush=True)

    write(machine_record(torch, device))
    for model in models:
        for layers in sorted({min(LAYERS, model["layers"]), min(2 * LAYERS, model["layers"]), model["layers"]}):
            for micro_batch in MICRO_BATCHES:
                if time.monotonic() > deadline:
                    left += 1
                    continue
                try:
                    write(measure(torch, model, layers, micro_batch, device, options.repeats))
                except torch.cuda.OutOfMemoryError:
                    write({"record": "train_step", "model": model["name"], "layers": layers,
                           "of_layers": model["layers"], "micro_batch": micro_batch, "out_of_memory": True})
                torch.cuda.empty_cache()
    write({"record": "part", "part": "train_step", "cases_left_by_time_limit": left, "cases_failed": 0})
    return 0


if __name__ == "__main__":
    sys.exit(main())
