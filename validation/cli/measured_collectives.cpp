#include "validation/cli/measured_collectives.hpp"

#include <utility>

#include "sim/cli/verbs.hpp"

namespace trainyard {
namespace {

constexpr int kMostRanks = 1 << 20;

}  // namespace

void MeasuredCollectivesOptions::add_to(CLI::App& verb, const char* cluster_help) {
  verb.add_option("--cluster", cluster, cluster_help);
  verb.add_option("--op", op, "operation of logs, whatever programs they name");
  verb.add_option("--ranks", ranks, "number of ranks of logs without a list of devices");
  verb.add_option("--nodes", nodes, "number of nodes of logs whose host names do not tell");
  verb.add_flag("--any-gpu", any_gpu, "count measurements of other GPUs than the cluster's too");
}

std::string MeasuredCollectivesOptions::first_given() const {
  return !op.empty() ? "--op" : !ranks.empty() ? "--ranks" : !nodes.empty() ? "--nodes" : any_gpu ? "--any-gpu" : "";
}

CollectiveSources MeasuredCollectivesOptions::sources(std::vector<std::filesystem::path> files) const {
  CollectiveSources out{.files = std::move(files)};
  if (!cluster.empty()) {
    out.cluster = cluster;
  }
  if (!op.empty()) {
    out.logs.op = named_choice("--op", op, kCollectiveOpNames);
  }
  if (!ranks.empty()) {
    out.logs.ranks = whole_number("--ranks", ranks, 1, kMostRanks);
  }
  if (!nodes.empty()) {
    out.logs.nodes = whole_number("--nodes", nodes, 1, kMostRanks);
  }
  out.gpus = any_gpu ? GpuCheck::kAny : GpuCheck::kSame;
  return out;
}

}  // namespace trainyard
