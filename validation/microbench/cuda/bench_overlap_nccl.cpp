// A matrix multiplication beside a collective of all GPUs of this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "validation/microbench/cuda/nccl_ranks.cuh"
#include "validation/microbench/cuda/overlap_load.cuh"

namespace trainyard::microbench {
namespace {

constexpr std::size_t kBytes = std::size_t{256} << 20U;

void run(Part& part) {
  int devices = 0;
  TRAINYARD_CHECK(cudaGetDeviceCount(&devices));
  if (devices < 2) {
    part.out.write({{"record", "left_out"},
                    {"what", "gemm beside a collective"},
                    {"why", "there is one GPU, and a collective needs two"}});
    return;
  }
  const GemmLoads gemms;
  NcclRanks ranks(devices, kBytes);
  TRAINYARD_CHECK(cudaSetDevice(part.options.device));
  const NcclType type = *nccl_type("bfloat16");
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    const Load collective{fmt::format("{} 256 MiB on {} GPUs", kCollectiveOpNames.name_of(op), devices),
                          ranks.first_stream(), [&] { ranks.enqueue(op, kBytes, type, false); }};
    part.run_in_order(gemms.size(), [&](std::size_t i) {
      measure_overlap(part, gemms[i], collective);
      ranks.wait();
    });
  }
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  int version = 0;
  ncclGetVersion(&version);
  return run_part(
      argc, argv, "overlap_nccl",
      {.cublaslt = fmt::format("{}", cublasLtGetVersion()), .nccl = fmt::format("{}", version)}, [](CLI::App&) {}, run);
}
