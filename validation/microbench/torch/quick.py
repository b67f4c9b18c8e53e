#!/usr/bin/env python3
"""The PyTorch parts of the microbenchmark suite, the most valuable first, until a deadline.

  python3 quick.py --out FILE.jsonl [--deadline SECONDS] [--parts steps,networks,...] [--device N]

Needs PyTorch with a GPU and says so (exit code 77) where there is none. Records are appended, each as soon as it is there.
"""

import argparse
import importlib
import sys
import time

# Each part in the order of --parts' default: the share of the time that it may take at most (what one leaves over the
# next may use), its module, and the function of the module that measures it.
PARTS = {
    "steps": (0.42, "steps", "measure"),
    "gemms": (0.30, "gemms", "measure"),
    "attention": (0.30, "attention", "measure"),
    "kernels": (0.40, "framework_kernels", "measure"),
    "experts": (0.50, "experts", "measure"),
    "networks": (0.60, "networks", "measure"),
    "convolutions": (0.60, "convolutions", "measure"),
    "image_kernels": (0.50, "image_kernels", "measure"),
    "more_steps": (1.0, "steps", "measure_more"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="-", help="file to append JSON lines to (default: standard output)")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds after which no case is started")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}, in this order")
    parser.add_argument("--device", type=int, default=0)
    options = parser.parse_args()
    parts = options.parts.split(",")
    for part in parts:
        if part not in PARTS:
            parser.error(f"--parts: {part!r} is none of {', '.join(PARTS)}")
    end = time.monotonic() + options.deadline
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: its parts are left out", file=sys.stderr)
        return 77
    if not torch.cuda.is_available() or torch.cuda.device_count() <= options.device:
        print(f"no CUDA device {options.device} here: nothing was measured", file=sys.stderr)
        return 77
    torch.cuda.set_device(options.device)
    import suite as shared

    out = sys.stdout if options.out == "-" else open(options.out, "a", encoding="utf-8")
    suite = shared.Suite(out, end, options.device)
    suite.write(shared.machine_record(suite.device))
    failed = 0
    for part in parts:
        share, module, function = PARTS[part]
        if part == parts[-1]:
            share = 1.0
        with suite.part(f"torch {part}", max(0.0, suite.seconds_left()) * share):
            getattr(importlib.import_module(module), function)(suite)
        failed += suite.failed
        print(f"{part}: {suite.failed} failed, {suite.left} left out for time", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
