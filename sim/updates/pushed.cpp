#include "sim/updates/pushed.hpp"

#include <string>

#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/compressors/table.hpp"

namespace trainyard {

namespace {

constexpr double kBytesOfParameter = 4.0;  // fp32

}  // namespace

std::vector<MatrixShape> matrices_of(const UpdateJob& job) {
  const double parameters = job.parameters.value / kBytesOfParameter;
  if (job.layers.empty()) {
    return {square_matrix(parameters)};
  }
  std::vector<MatrixShape> out;
  for (const PushedLayer& layer : job.layers) {
    out.push_back(square_matrix(layer.share * parameters));
  }
  return out;
}

bool is_compressed(const UpdateJob& job, int update) {
  const Compression& asked = job.compression;
  return asked.compressor != Compressor::kNone &&
         !(asked.compressor == Compressor::kOneBitAdam && update < asked.warm_up);
}

double pushed_share(const UpdateJob& job, int update) {
  if (!is_compressed(job, update)) {
    return 1.0;
  }
  const std::vector<MatrixShape> matrices = matrices_of(job);
  const Bytes bytes = compressor_traits(job.compression.compressor).bytes(job.compression, matrices);
  return bytes.value / (kBytesOfParameter * count_values(matrices));
}

Seconds encode_time(const UpdateJob& job, int update) {
  return is_compressed(job, update) ? job.message.encode : Seconds{};
}

void check_compression(const UpdateJob& job) {
  check(job.compression);
  const CompressedPart part = compressor_traits(job.compression.compressor).part;
  const std::string name(kCompressorNames.name_of(job.compression.compressor));
  const std::string mode(kSynchronisationNames.name_of(job.mode));
  demand(job.compression.compressor == Compressor::kNone || job.mode != Synchronisation::kGossip, "--compress", name,
         "a mode of --sync in which something common is pushed",
         "neighbours average their parameters, of which a part is not enough");
  demand(job.compression.compressor == Compressor::kNone || job.mode != Synchronisation::kFederated ||
             !job.federation.mask_rate,
         "--compress", name, "none with --secure-aggregation",
         "masks hide which values are sent and how large they are");
  demand(part != CompressedPart::kMean || !has_servers(job.mode), "--compress", name + " with " + mode,
         "modes of --sync that all-reduce", "its factors are sums over all workers before they are made orthonormal");
  demand(part != CompressedPart::kMomentum || job.mode == Synchronisation::kAllReduce, "--compress",
         name + " with " + mode, "--sync all-reduce", "all workers share its momentum after every update");
}

}  // namespace trainyard
