// What only some modes of synchronisation ask for.
#include <algorithm>

#include "sim/base/quantity_text.hpp"
#include "sim/cli/converge_options.hpp"
#include "sim/updates/data_sizes.hpp"

namespace trainyard {
namespace {

constexpr int kMostIterations = 100'000'000;
constexpr double kMostRate = 1e12;

// A name of the table, or edges as "0-1,1-2".
std::vector<GraphEdge> edges_typed(const std::string& typed, int workers) {
  if (typed.find('-') == std::string::npos) {
    return edges_of(named_choice("--graph", typed.empty() ? "ring" : typed, kGraphNames), workers);
  }
  std::vector<GraphEdge> out;
  for (const std::string& one : split_list(typed)) {
    const std::size_t dash = one.find('-');
    if (dash == std::string::npos) {
      throw UserError({.file = "--graph",
                       .found = one,
                       .allowed = "worker-worker, as 0-1, with commas between several",
                       .problem = "this is no edge between two workers"});
    }
    out.push_back({.a = whole_number("--graph", one.substr(0, dash), 0, workers - 1),
                   .b = whole_number("--graph", one.substr(dash + 1), 0, workers - 1)});
  }
  return out;
}

Federation federation_of(const ConvergeOptions& options, const UpdateJob& job) {
  Federation out;
  if (!options.client_share.empty()) {
    out.share = real_number("--client-share", options.client_share, 1e-12, 1.0);
  }
  if (!options.dropout.empty()) {
    out.dropout = real_number("--dropout", options.dropout, 0.0, 1.0 - 1e-12);
  }
  if (!options.data_sizes.empty()) {
    out.data = draw_data_sizes(named_choice("--data-sizes", options.data_sizes, kDataSizesNames),
                               static_cast<int>(job.workers.size()), job.seed);
  }
  if (!options.secure_aggregation.empty()) {
    out.mask_rate = typed_quantity("--secure-aggregation", options.secure_aggregation, parse_bytes_per_second);
  }
  return out;
}

}  // namespace

void set_modes(const ConvergeOptions& options, const std::vector<Synchronisation>& modes, UpdateJob& job) {
  const auto asks = [&](Synchronisation mode) { return std::find(modes.begin(), modes.end(), mode) != modes.end(); };
  const bool is_federated = asks(Synchronisation::kFederated);
  refuse_idle("--bound", options.bound, asks(Synchronisation::kStaleSynchronous), "--sync stale-synchronous");
  refuse_idle("--backup", options.backup, asks(Synchronisation::kBackupWorkers), "--sync backup-workers");
  refuse_idle("--local-steps", options.local_steps, std::any_of(modes.begin(), modes.end(), has_local_steps),
              "a mode of --sync that has local steps");
  refuse_idle("--switch-at", options.switch_at, asks(Synchronisation::kPostLocal), "--sync post-local");
  refuse_idle("--client-share", options.client_share, is_federated, "--sync federated");
  refuse_idle("--dropout", options.dropout, is_federated, "--sync federated");
  refuse_idle("--data-sizes", options.data_sizes, is_federated, "--sync federated");
  refuse_idle("--secure-aggregation", options.secure_aggregation, is_federated, "--sync federated");
  refuse_idle("--graph", options.graph, asks(Synchronisation::kGossip), "--sync gossip");
  const int workers = static_cast<int>(job.workers.size());
  job.bound = options.bound.empty() ? 2 : whole_number("--bound", options.bound, 0, kMostIterations);
  job.local_steps =
      options.local_steps.empty() ? 8 : whole_number("--local-steps", options.local_steps, 1, kMostIterations);
  job.switch_at =
      options.switch_at.empty() ? job.updates / 2 : whole_number("--switch-at", options.switch_at, 0, kMostIterations);
  if (asks(Synchronisation::kBackupWorkers)) {
    job.backup = whole_number("--backup", options.backup.empty() ? "1" : options.backup, 0, workers - 1);
  }
  if (asks(Synchronisation::kGossip)) {
    job.edges = edges_typed(options.graph, workers);
  }
  job.federation = federation_of(options, job);
}

DilocoOptions diloco_options(const ConvergeOptions& options, const std::vector<Synchronisation>& modes,
                             double learning_rate) {
  const bool is_asked = std::find(modes.begin(), modes.end(), Synchronisation::kDiloco) != modes.end();
  refuse_idle("--inner-optimizer", options.inner_optimizer, is_asked, "--sync diloco");
  refuse_idle("--inner-rate", options.inner_rate, is_asked, "--sync diloco");
  refuse_idle("--outer-rate", options.outer_rate, is_asked, "--sync diloco");
  refuse_idle("--outer-momentum", options.outer_momentum, is_asked, "--sync diloco");
  DilocoOptions out{.inner_rate = learning_rate};
  if (!options.inner_optimizer.empty()) {
    out.inner_rule = named_choice("--inner-optimizer", options.inner_optimizer, kUpdateRuleNames);
  }
  if (!options.inner_rate.empty()) {
    out.inner_rate = real_number("--inner-rate", options.inner_rate, 1e-12, kMostRate);
  }
  if (!options.outer_rate.empty()) {
    out.outer_rate = real_number("--outer-rate", options.outer_rate, 1e-12, kMostRate);
  }
  if (!options.outer_momentum.empty()) {
    out.outer_momentum = real_number("--outer-momentum", options.outer_momentum, 0.0, 1.0);
  }
  return out;
}

}  // namespace trainyard
