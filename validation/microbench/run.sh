#!/bin/sh
# Builds the microbenchmark suite and runs all of it within a time limit. Results are appended as JSON lines, so a run that
# is stopped keeps what it has measured.
#   validation/microbench/run.sh [--minutes N] [--out FILE.jsonl] [--device N] [--no-build]
# Needs nvcc, NCCL and a GPU; attention needs cuDNN with cudnn-frontend's headers (set CUDNN_FRONTEND_INCLUDE_DIR), the
# training step needs PyTorch. What is missing is said and left out.
set -u

minutes=30
out=
device=0
build=yes
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --device) device=$2; shift 2 ;;
    --no-build) build=no; shift ;;
    *) sed -n '2,7p' "$0" >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/build/microbench
programs=$folder/microbench
if [ -z "$out" ]; then
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader --id="$device" 2>/dev/null | tr ' /' '--' | tr '[:upper:]' '[:lower:]')
  mkdir -p "$root/validation/measurements"
  out=$root/validation/measurements/${name:-gpu}-$(date -u +%Y%m%d).jsonl
fi

if [ "$build" = yes ]; then
  cmake -S "$root" -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DTRAINYARD_MICROBENCH=ON \
    ${CUDNN_FRONTEND_INCLUDE_DIR:+-DCUDNN_FRONTEND_INCLUDE_DIR="$CUDNN_FRONTEND_INCLUDE_DIR"} || exit 1
  cmake --build "$folder" --target microbench || exit 1
fi

gpus=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)
seconds=$((minutes * 60))
failures=0

# part SHARE NAME ARGS...: gives the part so many hundredths of the time and a minute's grace.
part() {
  share=$1
  name=$2
  shift 2
  limit=$((seconds * share / 100))
  if [ ! -x "$programs/microbench_$name" ]; then
    printf '%s: not built, left out\n' "$name" >&2
    return
  fi
  printf '%s: at most %s s\n' "$name" "$limit" >&2
  timeout $((limit + 60)) "$programs/microbench_$name" --out "$out" --seconds "$limit" "$@"
  status=$?
  [ "$status" -eq 0 ] || { printf '%s: exit code %s\n' "$name" "$status" >&2; failures=$((failures + 1)); }
}

part 5 system --device "$device"
part 15 membound --device "$device"
part 35 gemm --device "$device"
part 15 attention --device "$device"
part 5 overlap --device "$device"
if [ "$gpus" -ge 2 ]; then
  part 10 nccl
  part 5 nccl --processes "$gpus"
else
  # One GPU: its ranks meet on sockets. The records say so, and no fabric is fitted to them.
  part 5 nccl --processes 2 --dtypes float --sizes 8:16M
fi
printf 'training step: at most %s s\n' $((seconds * 10 / 100)) >&2
python3 "$root/validation/microbench/train_step.py" --out "$out" --seconds $((seconds * 10 / 100)) --device "$device"
status=$?
case $status in
  0) ;;
  77) printf 'training step: left out\n' >&2 ;;
  *) failures=$((failures + 1)) ;;
esac

printf 'results: %s\n' "$out" >&2
[ "$failures" -eq 0 ]
