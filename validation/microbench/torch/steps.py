"""Part 2: real training steps on one GPU: forward, backward and AdamW of a decoder; time, kernels, gaps, memory.

Recipes: "bf16" holds parameters, gradients and moments in bf16; "autocast" holds them in fp32 and casts at every use; "fsdp2" is
fully_shard's mixed precision over one rank: fp32 shards, parameters gathered in bf16, gradients reduced in fp32. Gradients are clipped
by their norm, as training frameworks do. With recomputation every layer keeps its input alone. A step is launched eagerly, by torch.compile (each layer by itself, as torchtitan does), or replayed as one CUDA graph. The learning rate
is too small to move a parameter: a model that has learned its only batch has gradients of zero, and zeros draw less power.
"""

import collections
import contextlib
import json
import pathlib
import tempfile
import time

import torch

from decoder import build, read_model
from suite import Sampler, spread

# model, layers, tokens of a sequence, micro-batch, recipe, launch, recompute; the most telling first
CASES = [case if len(case) == 7 else (*case, "none") for case in [
    ("llama-3-8b", 4, 4096, 1, "bf16", "eager"),
    ("llama-3-8b", 8, 4096, 1, "bf16", "eager"),
    ("llama-3-8b", 4, 4096, 1, "autocast", "eager"),
    ("llama-3-8b", 8, 4096, 1, "autocast", "eager"),
    ("llama-3-8b", 4, 4096, 1, "bf16", "compiled"),
    ("llama-3-8b", 8, 4096, 1, "bf16", "compiled"),
    ("llama-3-8b", 4, 4096, 1, "autocast", "compiled"),
    ("llama-3-8b", 4, 4096, 1, "bf16", "graph"),
    ("llama-3-8b", 8, 4096, 1, "bf16", "graph"),
    ("llama-3-8b", 4, 4096, 1, "fsdp2", "eager"),
    ("llama-3-8b", 8, 4096, 1, "fsdp2", "eager"),
    ("llama-3-8b", 8, 4096, 1, "fsdp2", "eager", "full"),
    ("llama-3-8b", 8, 4096, 1, "bf16", "eager", "full"),
    ("llama-3-8b", 8, 4096, 1, "fsdp2", "compiled"),
    ("llama-3-8b", 8, 4096, 2, "bf16", "eager"),
    ("llama-3-8b", 8, 4096, 2, "autocast", "eager"),
    ("llama-3-8b", 8, 8192, 1, "bf16", "eager"),
    ("llama-3-8b", 4, 8192, 2, "bf16", "compiled"),
    ("gpt2", 12, 1024, 1, "bf16", "eager"),
    ("gpt2", 12, 1024, 8, "autocast", "eager"),
    ("gpt2", 12, 1024, 8, "bf16", "compiled"),
    ("gpt2", 12, 1024, 1, "bf16", "graph"),
    ("gpt2-xl", 48, 1024, 1, "bf16", "eager"),
    ("gpt2-xl", 48, 1024, 4, "autocast", "eager"),
    ("gpt2-xl", 48, 1024, 4, "bf16", "graph"),
    ("gpt2-xl", 48, 1024, 4, "fsdp2", "eager"),
    ("gpt2-xl", 48, 1024, 16, "autocast", "eager", "full"),
]]
# A part of its own, not in the quick run: other models, lengths and batches of the same kinds of step
MORE_CASES = [case if len(case) == 7 else (*case, "none") for case in [
    ("llama-3-8b", 2, 16384, 1, "bf16", "eager"),
    ("gpt2-medium", 24, 1024, 8, "autocast", "eager"),
    ("llama-2-7b", 4, 4096, 2, "autocast", "eager"),
    ("llama-3-70b", 2, 4096, 1, "bf16", "eager"),
    ("gpt2-large", 36, 1024, 4, "bf16", "eager"),
    ("llama-3-8b", 2, 16384, 1, "fsdp2", "compiled", "full"),
    ("llama-3-8b", 2, 8192, 1, "fsdp2", "eager"),
    ("llama-2-13b", 4, 4096, 1, "fsdp2", "eager", "full"),
    ("llama-2-7b", 4, 4096, 4, "bf16", "eager", "full"),
    ("gpt2-large", 36, 1024, 8, "autocast", "compiled"),
    ("gpt2-medium", 24, 1024, 16, "bf16", "graph"),
    ("llama-3-8b", 4, 2048, 8, "fsdp2", "eager"),
    ("llama-3-8b", 2, 32768, 1, "bf16", "eager", "full"),
]]
WARM_UP = 3
REPEATS = 8
KERNELS_WRITTEN = 80  # of one step: the longest kinds of kernel; the rest is summed


def shard(decoder):
    """FSDP2 over a process group of this process alone: embedding, every layer, norm with head (torchtitan's units)."""
    import torch.distributed as dist
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    if not dist.is_initialized():
        store = dist.HashStore()
        dist.init_process_group("nccl", store=store, rank=0, world_size=1)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    tied = decoder.head.weight is decoder.tokens.weight  # shared parameters must lie in one unit: the root's
    if not tied:
        fully_shard(decoder.tokens, mp_policy=policy, reshard_after_forward=True)
    for layer in decoder.layers:
        fully_shard(layer, mp_policy=policy, reshard_after_forward=True)
    if not tied:
        fully_shard([decoder.norm, decoder.head], mp_policy=policy, reshard_after_forward=False)
    fully_shard(decoder, mp_policy=policy, reshard_after_forward=True)


class Step:
    """One training step, ready to be run again and again."""

    def __init__(self, suite, name, layers, seq_len, micro_batch, recipe, launch, recompute):
        device = suite.device
        model = read_model(name)
        self.decoder = build(model, layers, seq_len, torch.bfloat16 if recipe == "bf16" else torch.float32, device)
        if recompute == "full":
            self.decoder.recompute()
        if launch == "compiled":
            for layer in self.decoder.layers:
                layer.compile(fullgraph=recompute == "none")
        if recipe == "fsdp2":
            shard(self.decoder)
        self.optimizer = torch.optim.AdamW(self.decoder.parameters(), lr=1e-9, fused=True, capturable=launch == "graph")
        self.autocast = recipe == "autocast"
        ids = torch.randint(model["vocab"], (micro_batch, seq_len + 1), device=device)
        self.inputs, self.targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
        self.parameters = sum(p.numel() for p in self.decoder.parameters())
        self.of_layers = model["layers"]
        self.loss = None
        self.run = self.launch
        if launch == "graph":
            self.run = capture(self, warm_up=2)

    def described(self):
        return {"of_layers": self.of_layers, "parameters": self.parameters, "optimizer": "AdamW fused, gradients clipped",
                "attention": "torch sdpa"}

    def launch(self):
        context = torch.autocast("cuda", dtype=torch.bfloat16) if self.autocast else contextlib.nullcontext()
        self.optimizer.zero_grad(set_to_none=True)
        with context:
            loss = self.decoder(self.inputs, self.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0, foreach=True)
        self.optimizer.step()
        self.loss = loss.detach()


def capture(step, warm_up):
    """Replays one CUDA graph of the step, which is launched so many times before it is captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warm_up):
            step.launch()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    step.optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step.launch()
    return graph.replay


def time_steps(step):
    """Device seconds of a step, steps launched one after the other, and the host's seconds to launch one."""
    begin = [torch.cuda.Event(enable_timing=True) for _ in range(REPEATS + 1)]
    host = []
    torch.cuda.synchronize()
    begin[0].record()
    for mark in begin[1:]:
        start = time.perf_counter()
        step.run()
        host.append(time.perf_counter() - start)
        mark.record()
    torch.cuda.synchronize()
    seconds = [first.elapsed_time(second) * 1e-3 for first, second in zip(begin, begin[1:])]
    alone = []
    for _ in range(3):  # with an idle device before it: what the host needs when nothing makes it wait
        torch.cuda.synchronize()
        start = time.perf_counter()
        step.run()
        alone.append(time.perf_counter() - start)
    torch.cuda.synchronize()
    return seconds, host, alone


def trace_events(profiler):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return json.loads(path.read_text())["traceEvents"]


def on_device(events):
    """What of a trace ran on the device, in the order it began."""
    return sorted((e for e in events if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")), key=lambda e: e["ts"])


def profile(step):
    """What one step's trace says: every kind of kernel, the device's busy time and gaps, the host's launches."""
    steps = 2
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            step.run()
        torch.cuda.synchronize()
    events = trace_events(profiler)
    device = on_device(events)
    if not device:
        raise RuntimeError("the profiler saw nothing on the device")
    kinds = collections.defaultdict(lambda: [0, 0.0])
    busy, gaps, end = 0.0, [], None
    for e in device:
        kinds[e["name"]][0] += 1
        kinds[e["name"]][1] += e["dur"] * 1e-6
        if end is not None and e["ts"] > end:
            gaps.append((e["ts"] - end) * 1e-6)
        start = e["ts"] if end is None else max(end, e["ts"])
        busy += max(0.0, e["ts"] + e["dur"] - start) * 1e-6
        end = e["ts"] + e["dur"] if end is None else max(end, e["ts"] + e["dur"])
    launches = [e["dur"] * 1e-6 for e in events if e.get("cat") == "cuda_runtime" and "Launch" in e["name"]]
    longest = sorted(kinds.items(), key=lambda item: -item[1][1])
    rest = longest[KERNELS_WRITTEN:]
    return {
        "profiled_steps": steps,
        "span_s": (end - device[0]["ts"]) * 1e-6 / steps,
        "busy_s": busy / steps,
        "gaps_s": sum(gaps) / steps,
        "gap_s": spread(gaps) if len(gaps) > 1 else None,
        "kernels_launched": len(device) / steps,
        "launch_call_s": spread(launches) if len(launches) > 1 else None,
        "kernels": [{"name": name[:200], "count": count / steps, "time_s": seconds / steps} for name, (count, seconds) in longest[:KERNELS_WRITTEN]],
        "kernels_rest": {"kinds": len(rest), "count": sum(v[0] for _, v in rest) / steps, "time_s": sum(v[1] for _, v in rest) / steps},
    }


def memory_of(step, keep_actions):
    """Peaks of one step, the segments that the allocator holds, and the step's blocks in the order they came and went."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    torch.cuda.memory._record_memory_history(max_entries=400_000, stacks="python", context=None)
    step.run()
    torch.cuda.synchronize()
    snapshot = torch.cuda.memory._snapshot()
    torch.cuda.memory._record_memory_history(enabled=None)
    stats = torch.cuda.memory_stats()
    free, total = torch.cuda.mem_get_info()
    out = {
        "before_bytes": before,
        "peak_memory_bytes": stats["allocated_bytes.all.peak"],
        "requested_peak_bytes": stats["requested_bytes.all.peak"],
        "reserved_memory_bytes": stats["reserved_bytes.all.peak"],
        "used_of_device_bytes": total - free,
        "device_total_bytes": total,
        "allocator_retries": stats["num_alloc_retries"],
        "segments": sorted(((s["total_size"], s["allocated_size"]) for s in snapshot["segments"]), reverse=True)[:400],
    }
    if keep_actions:
        names = {}  # of the blocks that stand: addresses come again
        taken = 0
        actions = []
        for entry in snapshot["device_traces"][0]:
            if entry["action"] == "alloc":
                names[entry["addr"]] = taken
                actions.append([taken, entry["size"]])
                taken += 1
            elif entry["action"] == "free_completed" and entry["addr"] in names:
                actions.append([names.pop(entry["addr"]), 0])
        out["blocks"] = actions  # [block, bytes] when it is taken, [block, 0] when it is given back
    return out


def measured(suite, make, keep_actions):
    """The record of a step: make() builds it; it is warmed up, timed, profiled, and its memory is followed."""
    # What earlier cases of this process left behind: buckets of DistributedDataParallel, pools of graphs.
    left_over = {"left_over_bytes": torch.cuda.memory_allocated(), "left_over_reserved_bytes": torch.cuda.memory_reserved()}
    began = time.perf_counter()
    step = make()
    for _ in range(WARM_UP):
        step.run()
    torch.cuda.synchronize()
    ready = time.perf_counter() - began
    with Sampler(suite.device) as sampler:
        since = time.monotonic()
        seconds, host, alone = time_steps(step)
        clocks = sampler.record(since)
    record = {
        "record": "train_step",
        **step.described(),
        "ready_s": ready,
        "time_s": spread(seconds),
        "host_s": spread(host),
        "host_alone_s": spread(alone),
        **clocks,
        "loss": float(step.loss),
    }
    try:
        record["profile"] = profile(step)
    except Exception as error:
        record["profile"] = {"why_not": str(error)[:300]}
    record.update(left_over, **memory_of(step, keep_actions))
    return record


def run_cases(suite, cases):
    for name, layers, seq_len, micro_batch, recipe, launch, recompute in cases:
        def run():
            return measured(suite, lambda: Step(suite, name, layers, seq_len, micro_batch, recipe, launch, recompute),
                            keep_actions=launch != "graph" and layers <= 12)

        suite.case(run, needs_s=40.0 if launch == "compiled" else 6.0, model=name, layers=layers, seq_len=seq_len,
                   micro_batch=micro_batch, recipe=recipe, launch=launch, recompute=recompute)
        if launch == "compiled":
            torch._dynamo.reset()


def measure(suite):
    run_cases(suite, CASES)


def measure_more(suite):
    run_cases(suite, MORE_CASES)
