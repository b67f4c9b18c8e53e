#!/bin/sh
# Builds the microbenchmark suite and runs it within one deadline for all of it. Records are appended as JSON lines, each
# as soon as it is measured, so a run that is stopped keeps what it has.
#   validation/microbench/run.sh [--quick] [--minutes N | --deadline SECONDS] [--out FILE.jsonl] [--device N]
#                                [--no-build] [--programs FOLDER]
# --quick: what is worth most, in order of value, in 540 s. --no-build: the programs were built before, here or elsewhere;
# they lie in --programs, build/microbench/microbench or build/release/microbench. TRAINYARD_HOME is this project's
# folder unless it is set. Needs a GPU; what else is missing (nvcc, NCCL, PyTorch) is said and left out.
# Exit code: 0, 1 when a part failed or was missing, 2 for bad options, 77 without a GPU.
set -u

quick=
deadline=
out=
device=0
build=yes
programs=
usage() { sed -n '2,9p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=--quick; shift; continue ;;
    --no-build) build=no; shift; continue ;;
  esac
  [ $# -ge 2 ] || usage
  case $1 in
    --minutes) deadline=$(($2 * 60)) || usage ;;
    --deadline) deadline=$(($2 + 0)) || usage ;;
    --out) out=$2 ;;
    --device) device=$2 ;;
    --programs) programs=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ -n "$deadline" ] || deadline=$([ -n "$quick" ] && echo 540 || echo 1800)

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/build/microbench
if [ "$build" = yes ]; then
  cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTRAINYARD_MICROBENCH=ON -DTRAINYARD_PORTABLE=ON \
    -DTRAINYARD_BENCHMARKS=OFF || exit 1
  cmake --build "$folder" --target microbench || exit 1
fi
for candidate in ${programs:+"$programs"} "$folder/microbench" "$root/build/release/microbench"; do
  [ -x "$candidate/microbench_gemm" ] && { programs=$candidate; break; }
  [ "$candidate" = "$programs" ] && break
done
if [ ! -x "$programs/microbench_gemm" ]; then
  printf 'no programs in %s; build them (without --no-build), or say where they are (--programs)\n' \
    "${programs:-$folder/microbench or $root/build/release/microbench}" >&2
  exit 1
fi

# The time counts from here: a build is no measurement.
start=$(date +%s)
left() { echo $((deadline - ($(date +%s) - start))); }
if [ -z "$out" ]; then
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader --id="$device" 2>/dev/null | tr ' /' '--' | tr '[:upper:]' '[:lower:]')
  mkdir -p "$root/validation/measurements"
  out=$root/validation/measurements/${name:-gpu}-$(date -u +%Y%m%d).jsonl
fi
export TRAINYARD_HOME="${TRAINYARD_HOME:-$root}"

# cuBLAS and NCCL as .so.N: of Python's wheels, which frameworks use, then of the toolkit.
libraries=$(python3 -c '
import glob, site, sys
bases = site.getsitepackages() + [site.getusersitepackages()] + sys.path
print(":".join(dict.fromkeys(folder for base in bases if base for folder in sorted(glob.glob(base + "/nvidia/*/lib")))))
' 2>/dev/null)
libraries=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${libraries:+$libraries:}/usr/local/cuda/lib64
failures=0
torch_parts=steps,attention,kernels,experts
[ -n "$quick" ] || torch_parts=$torch_parts,networks,convolutions,image_kernels,more_steps

# ended NAME STATUS: says what became of a part.
ended() {
  case $2 in
    0) ;;
    77) printf '%s: left out, it says why above\n' "$1" >&2 ;;
    124 | 137) printf '%s: stopped at its limit\n' "$1" >&2; failures=$((failures + 1)) ;;
    *) printf '%s: exit code %s\n' "$1" "$2" >&2; failures=$((failures + 1)) ;;
  esac
}

# part SECONDS NAME ARGS...: at most so long, and no longer than is left. A part stops starting cases 10 s before.
part() {
  limit=$1
  name=$2
  shift 2
  now=$(left)
  [ "$limit" -le "$now" ] || limit=$now
  if [ "$limit" -lt 15 ]; then
    printf '%s: left out, no time is left\n' "$name" >&2
    return
  fi
  if [ ! -x "$programs/microbench_$name" ]; then
    printf '%s: not built, left out\n' "$name" >&2
    failures=$((failures + 1))
    return
  fi
  printf '%s: at most %s s\n' "$name" "$limit" >&2
  LD_LIBRARY_PATH=$libraries timeout -k 5 "$limit" "$programs/microbench_$name" --out "$out" \
    --seconds $((limit - 10)) --device "$device" $quick "$@"
  status=$?
  if [ "$status" -eq 77 ] && [ "$name" = gemm ]; then
    exit 77
  fi
  # What PyTorch multiplies stands in for GEMMs that could not be measured.
  [ "$name" != gemm ] || [ "$status" -eq 0 ] || torch_parts=gemms,$torch_parts
  ended "$name" "$status"
}

# in_pytorch SECONDS: what is measured through PyTorch.
in_pytorch() {
  script=$root/validation/microbench/torch/quick.py
  if [ "$1" -lt 20 ]; then
    printf 'PyTorch: left out, no time is left\n' >&2
  elif [ ! -f "$script" ] || ! python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; then
    printf 'PyTorch: left out, python3 has no torch: transformer steps, attention, framework and fp8 kernels\n' >&2
  else
    printf 'PyTorch: at most %s s\n' "$1" >&2
    timeout -k 5 "$1" python3 "$script" --out "$out" --deadline $(($1 - 10)) --device "$device" --parts "$torch_parts"
    ended PyTorch $?
  fi
}

if [ -n "$quick" ]; then
  part 175 gemm
  in_pytorch $(($(left) - 115))
  part 20 system
  part 75 overlap
  part 40 membound
else
  part $((deadline * 35 / 100)) gemm
  in_pytorch $((deadline * 30 / 100))
  part $((deadline * 5 / 100)) system
  part $((deadline * 5 / 100)) overlap
  part $((deadline * 15 / 100)) membound
  gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)
  if [ "$gpus" -ge 2 ]; then
    part $((deadline * 3 / 100)) overlap_nccl
    part $((deadline * 4 / 100)) nccl
    part $((deadline * 3 / 100)) nccl --processes "$gpus"
  else
    # One GPU: its ranks meet on sockets. The records say so, and no fabric is fitted to them.
    part $((deadline * 5 / 100)) nccl --processes 2 --dtypes float --sizes 8:16M
  fi
fi

printf 'results: %s\n' "$out" >&2
[ "$failures" -eq 0 ]
