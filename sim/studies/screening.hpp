#pragma once
// The time of a step by formula, for choosing which layouts are worth a simulation. Layers and collectives are priced
// once for all layouts that share them.
//
//   step = (m + (p - 1) / v) * slowest stage's micro-batch + messages + gradient reduction + optimizer
//
// with m micro-batches, p stages of v chunks: the pipeline bubble of arXiv 2104.04473, section 2.2. A stage's
// micro-batch is the sum of its layers, each its kernels at host or device speed, whichever is slower, and its exposed
// collectives. What it leaves out: waiting that the order of events causes, shared links, overlap cut short, jitter.
// GPUs of unequal speed all wait for the slowest, whose kernels it counts.
#include <map>
#include <memory>
#include <tuple>

#include "kernels/kernel_costs.hpp"
#include "models/operators.hpp"
#include "sim/studies/memory_screen.hpp"
#include "sim/studies/predict.hpp"

namespace trainyard {

// What distinguishes layouts of one job.
struct LayoutChoice {
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t vpp = 1;
  std::int64_t dp = 1;
  std::int64_t micro_batch = 1;
  Recompute recompute = Recompute::kNone;
  int zero_stage = 0;
  auto operator<=>(const LayoutChoice&) const = default;
};

// `scenario` with the choice made: degrees, micro-batch, recomputation, ZeRO stage, and the schedule that fits.
void apply_choice(Scenario& scenario, const LayoutChoice& choice);

class Screen {
 public:
  explicit Screen(const Scenario& job);

  // Time of a step; the choice must be legal.
  Seconds step(const LayoutChoice& choice);
  // Memory of the fullest stage.
  Bytes memory(const LayoutChoice& choice);

 private:
  struct PassTimes {
    Seconds embedding{};
    Seconds head{};
    std::map<LayerKind, Seconds> layers;  // forward and backward together
    Bytes message{};                      // over one boundary, one way
  };
  using PassKey = std::tuple<std::int64_t, std::int64_t, Recompute>;
  using CollectiveKey = std::tuple<CollectiveOp, double, std::int64_t, std::int64_t>;

  const PassTimes& passes(const LayoutChoice& choice);
  // Raises the times of a micro-batch to those on one kind of GPU.
  void raise_times(PassTimes& times, const ShardShape& shard, const KernelCosts& kernels);
  // Where the members of a layer's group stand: how many, and how many ranks apart.
  struct Members {
    std::int64_t count;
    std::int64_t stride;
  };
  Members members_of(ParallelGroup group) const;
  Seconds collective(CollectiveOp op, Bytes size, std::int64_t members, std::int64_t stride);

  Scenario job_;  // with the choice being looked at
  Fabric fabric_;
  ScenarioKernelCosts kernels_;
  std::unique_ptr<ClusterNetworkCosts> network_;
  std::map<PassKey, PassTimes> passes_;
  std::map<CollectiveKey, Seconds> collectives_;
  MemoryScreen memory_;
  double parameters_ = 0.0;  // of the model
  double slowness_ = 1.0;    // of the slowest GPU
};

}  // namespace trainyard
