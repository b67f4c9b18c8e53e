#!/usr/bin/env python3
"""The PyTorch parts of the microbenchmark suite, the most valuable first, until a deadline.

  python3 quick.py --out FILE.jsonl [--deadline SECONDS] [--parts steps,gemms,attention,kernels,experts] [--device N]

Needs PyTorch with a GPU and says so (exit code 77) where there is none. Records are appended, each as soon as it is there.
"""

import argparse
import importlib
import sys
import time

# Share of the time that a part may take at most; what one leaves over the next may use.
SHARES = {"steps": 0.42, "gemms": 0.30, "attention": 0.30, "kernels": 0.40, "experts": 1.0}
MODULES = {"steps": "steps", "gemms": "gemms", "attention": "attention", "kernels": "framework_kernels", "experts": "experts"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="-", help="file to append JSON lines to (default: standard output)")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds after which no case is started")
    parser.add_argument("--parts", default=",".join(SHARES), help=f"of {', '.join(SHARES)}, in this order")
    parser.add_argument("--device", type=int, default=0)
    options = parser.parse_args()
    parts = options.parts.split(",")
    for part in parts:
        if part not in SHARES:
            parser.error(f"--parts: {part!r} is none of {', '.join(SHARES)}")
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
        with suite.part(f"torch {part}", max(0.0, suite.seconds_left()) * SHARES[part]):
            importlib.import_module(MODULES[part]).measure(suite)
        failed += suite.failed
        print(f"{part}: {suite.failed} failed, {suite.left} left out for time", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
