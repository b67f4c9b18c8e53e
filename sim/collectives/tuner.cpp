#include "sim/collectives/tuner.hpp"

#include "sim/base/error.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

bool has_protocol(const TunerInput& input, Protocols protocols, Protocol protocol) {
  if (protocols == Protocols::kSimple) {
    return protocol == Protocol::kSimple;
  }
  return protocol != Protocol::kLl128 || (input.graphs.nvlink && input.profile->compute_capability >= 70);
}

}  // namespace

std::vector<Candidate> tuner_candidates(const TunerInput& input, Bytes size) {
  TY_ASSERT(input.ranks > 1 && input.nodes >= 1 && input.profile != nullptr && input.version != nullptr);
  const ArchitectureRates& rates = input.version->architectures.at(input.profile->architecture);
  std::vector<Candidate> out;
  for (const CollectiveAlgorithm* row : collective_algorithms()) {
    const TunerModel* model = row->tuner;
    if (model == nullptr || !row->serves(input.op, *input.version) || !model->fits(input)) {
      continue;
    }
    for (const auto& [protocol_name, protocol] : kProtocolNames.rows) {
      if (!has_protocol(input, model->protocols, protocol)) {
        continue;
      }
      const TunerCase c{input, rates, row->name, protocol, size};
      const double bandwidth = model->bandwidth(c);
      if (bandwidth <= 0.0) {
        continue;
      }
      out.push_back({.algorithm = row->name,
                     .protocol = protocol,
                     .channels = model->channels(c),
                     .latency = {model->latency(c) * kMicro},
                     .transfer = {size.value / (bandwidth * kGiga)}});
    }
  }
  return out;
}

}  // namespace trainyard
