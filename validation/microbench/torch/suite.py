"""What the PyTorch parts of the suite share: records, deadlines, timing on the device, sampling of clock and power.

Records have the form that validation/microbench/README.md describes: one JSON object a line, SI units, every line flushed
when it is written, so that a run that is stopped keeps what it has measured.
"""

import contextlib
import datetime
import gc
import json
import statistics
import threading
import time

import torch

L2_FACTOR = 4  # operands of cold calls exceed the L2 cache so many times, as in the programs of cuda/
SAMPLE_SECONDS = 0.02


class Suite:
    """One run: where its records go, until when it may start a case, on which GPU."""

    def __init__(self, out, deadline, device):
        self.out = out
        self.deadline = deadline
        self.device = torch.device("cuda", device)
        self.index = device
        self.left = 0
        self.failed = 0

    def write(self, record):
        print(json.dumps(record), file=self.out, flush=True)

    def seconds_left(self):
        return self.deadline - time.monotonic()

    @contextlib.contextmanager
    def part(self, name, seconds):
        """Runs a part for at most so many seconds of what is left; its last record counts what was left out and failed."""
        outer, self.deadline = self.deadline, min(self.deadline, time.monotonic() + seconds)
        self.left = self.failed = 0
        began = time.monotonic()
        try:
            yield
        finally:
            self.deadline = outer
            self.write({"record": "part", "part": name, "seconds": time.monotonic() - began,
                        "cases_left_by_time_limit": self.left, "cases_failed": self.failed})

    def case(self, measure, needs_s=0.0, **what):
        """Writes the record measure() returns beside what names the case. A failure is a record too: the suite goes on."""
        if self.seconds_left() < needs_s:
            self.left += 1
            return
        try:
            self.write({**what, **measure()})
        except torch.cuda.OutOfMemoryError:
            self.write({**what, "record": "left_out", "why": "out of memory"})
        except torch.AcceleratorError:  # sticky: no later call of this process can be believed
            self.failed += 1
            raise
        except Exception as error:  # an operator that this PyTorch lacks, a shape a library refuses
            self.failed += 1
            self.write({**what, "record": "left_out", "why": f"{type(error).__name__}: {error}"[:400]})
        gc.collect()
        torch.cuda.empty_cache()


def spread(seconds):
    """Median, tenth and ninetieth percentile, as the suite's other parts write them."""
    if len(seconds) < 2:
        return {"median": seconds[0], "low": seconds[0], "high": seconds[0], "repeats": len(seconds)}
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    return {"median": statistics.median(seconds), "low": tenths[0], "high": tenths[-1], "repeats": len(seconds)}


def machine_record(device):
    properties = torch.cuda.get_device_properties(device)
    record = {
        "record": "machine",
        "format": 1,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "gpu": properties.name,
        "gpus": torch.cuda.device_count(),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "memory_bytes": properties.total_memory,
        "cuda_runtime": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),
        "torch": torch.__version__,
    }
    with contextlib.suppress(Exception):
        import triton
        record["triton"] = triton.__version__
    with Sampler(device) as sampler:
        record.update(sampler.limits())
    return record


class Sampler:
    """Reads clock, power, energy, throttle reasons and temperature every 20 ms in a thread of its own, while work runs.

    Without NVML's Python module there are no samples, and the records have no such keys.
    """

    def __init__(self, device):
        self.samples = []
        self.stop = threading.Event()
        self.thread = None
        try:
            import pynvml
            pynvml.nvmlInit()
            self.nvml = pynvml
            self.handle = pynvml.nvmlDeviceGetHandleByIndex(torch.device(device).index or 0)
        except Exception:
            self.nvml = None

    def read(self):
        nvml, handle = self.nvml, self.handle
        sample = {"at": time.monotonic(), "clock": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6}
        with contextlib.suppress(Exception):
            sample["energy"] = nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3
        with contextlib.suppress(Exception):
            value = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])[0]
            sample["power"] = value.value.uiVal * 1e-3
        with contextlib.suppress(Exception):
            sample["reasons"] = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        with contextlib.suppress(Exception):
            sample["temperature"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        return sample

    def limits(self):
        if self.nvml is None:
            return {}
        nvml, handle, out = self.nvml, self.handle, {}
        with contextlib.suppress(Exception):
            driver = nvml.nvmlSystemGetDriverVersion()
            out["driver"] = driver.decode() if isinstance(driver, bytes) else driver
        with contextlib.suppress(Exception):
            out["sm_clock_max_hz"] = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6
            out["memory_clock_max_hz"] = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1e6
        with contextlib.suppress(Exception):
            out["power_limit_w"] = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 1e-3
        with contextlib.suppress(Exception):
            out["temperature_c"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        return out

    def __enter__(self):
        if self.nvml is not None:
            def sample():
                while not self.stop.wait(SAMPLE_SECONDS):
                    with contextlib.suppress(Exception):
                        self.samples.append(self.read())
            self.thread = threading.Thread(target=sample, daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        if self.thread is not None:
            self.thread.join()

    def record(self, since=0.0):
        """The samples from `since` (time.monotonic) on: means, the lowest clock, all throttle reasons seen."""
        seen = [s for s in self.samples if s["at"] >= since]
        if len(seen) < 2:
            return {}
        out = {
            "sm_clock_hz": statistics.fmean(s["clock"] for s in seen),
            "sm_clock_low_hz": min(s["clock"] for s in seen),
            "samples": len(seen),
        }
        energies = [(s["at"], s["energy"]) for s in seen if "energy" in s]
        if len(energies) > 1 and energies[-1][0] - energies[0][0] > 0.5:  # the counter moves in steps of about 0.1 s
            out["power_w"] = (energies[-1][1] - energies[0][1]) / (energies[-1][0] - energies[0][0])
        if powers := [s["power"] for s in seen if "power" in s]:
            out["power_instant_w"] = statistics.fmean(powers)
        reasons = 0
        for s in seen:
            reasons |= s.get("reasons", 0)
        out["throttle_reasons"] = hex(reasons)
        if temperatures := [s["temperature"] for s in seen if "temperature" in s]:
            out["temperature_c"] = max(temperatures)
        return out


def event():
    return torch.cuda.Event(enable_timing=True)


def seconds_between(first, second):
    return first.elapsed_time(second) * 1e-3


def captured(calls):
    """A CUDA graph of the calls, one after the other; each is called once before, outside of any capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in calls[:2]:
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph


def burst(calls, repeats=10, pause_s=0.02, least_s=1e-3, capture=True):
    """Seconds of one call, for each of so many replays with pauses between: device time, launches left out.

    The calls are captured round robin as often as it takes to fill `least_s`. Calls that cannot be captured (autograd runs
    on the stream of its forward pass) are launched one by one, and the second value says so ("graph" or "launched").
    """
    torch.cuda.synchronize()
    for call in calls:
        call()
    torch.cuda.synchronize()
    begin, end = event(), event()
    begin.record()
    for call in calls:
        call()
    end.record()
    torch.cuda.synchronize()
    each = max(seconds_between(begin, end) / len(calls), 1e-7)
    rounds = max(1, min(200, round(least_s / each / len(calls) + 0.5)))
    if capture:
        run, how = captured(list(calls) * rounds).replay, "graph"
    else:
        def run():
            for _ in range(rounds):
                for call in calls:
                    call()
        how = "launched"
    run()
    torch.cuda.synchronize()
    seconds = []
    for _ in range(repeats):
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        seconds.append(seconds_between(begin, end) / (rounds * len(calls)))
        time.sleep(pause_s)
    return seconds, how


def sustained(suite, calls, seconds):
    """Seconds of one call while the device does nothing else for so long, and what the sampler saw: the second half counts."""
    graph = captured(list(calls))
    graph.replay()
    torch.cuda.synchronize()
    begin, end = event(), event()
    begin.record()
    graph.replay()
    end.record()
    torch.cuda.synchronize()
    batch = max(1, int(0.05 / max(seconds_between(begin, end), 1e-6)))
    times = []
    with Sampler(suite.device) as sampler:
        start = time.monotonic()
        marks = [event()]
        marks[0].record()
        while time.monotonic() - start < seconds:
            for _ in range(batch):
                graph.replay()
            marks.append(event())
            marks[-1].record()
            if len(marks) > 3:
                marks[-3].synchronize()  # two batches are under way: never idle, never far ahead
        torch.cuda.synchronize()
        for first, second in zip(marks, marks[1:]):
            times.append(seconds_between(first, second) / (batch * len(calls)))
        found = sampler.record(start + seconds / 2)
    return times[len(times) // 2:], found


def copies_for_cold(device, bytes_of_one, most=64):
    """How many sets of operands make every call find a cold L2: they exceed it L2_FACTOR times."""
    l2 = torch.cuda.get_device_properties(device).L2_cache_size
    return max(1, min(most, -(-L2_FACTOR * l2 // max(1, int(bytes_of_one)))))
