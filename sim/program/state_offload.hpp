#pragma once
// Optimizer states and parameters that the host holds: gradients go there, the host's processors update, and the
// parameters come back, or stay there and are fetched before every use.
#include <cstdint>
#include <optional>
#include <span>

#include "sim/program/host_copies.hpp"
#include "sim/program/optimizer_step.hpp"

namespace trainyard {

class StateOffload {
 public:
  StateOffload(const HostCopies& copies, std::size_t pieces) : copies_(copies), pieces_(pieces) {}

  bool holds_optimizer() const { return options().optimizer > 0.0; }
  bool holds_weights() const { return options().weights > 0.0; }

  // The part on the host of `size` bytes of parameters is on the device when the answer is over.
  OperationId fetch(Bytes size, std::span<const OperationId> after) const;
  // The part of `size` bytes of reduced gradients that the host updates from.
  void send_gradients(Bytes size, std::span<const OperationId> after);
  // Updates the host's part of `shard`, piece after piece; the data flow then waits for the new parameters. Gradients
  // that were not sent before are sent first.
  void update(const OptimizerShard& shard);

 private:
  const OffloadOptions& options() const { return copies_.scenario.training.offload; }

  HostCopies copies_;
  std::size_t pieces_;
  std::optional<OperationId> sent_;  // the last of the gradients
};

// What the host's processors take to update `parameters` on one rank; the ranks of a node share its memory.
Seconds host_update_time(const Scenario& scenario, const OptimizerShard& shard, double parameters);

}  // namespace trainyard
