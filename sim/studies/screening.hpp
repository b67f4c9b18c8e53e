#pragma once
// The time of a step by formula, for choosing which layouts are worth a simulation. Layers and collectives are priced
// once for all layouts that share them.
//
//   step = max(m * micro-batch, m * shards' traffic) + (p - 1) * largest chunk + messages + gradient reduction +
//   optimizer
//
// with m micro-batches, p stages: the pipeline bubble of arXiv 2104.04473, section 2.2. A micro-batch passes chunk
// after chunk, every stage at the pace of the one whose chunk is the slowest; a chunk is the sum of its layers, each
// its kernels at host or device speed, whichever is slower, and its exposed collectives. Strategies that share out
// parameters, or reduce gradients in every micro-batch, have that traffic beside the passes. What it leaves out:
// waiting that the order of events causes, shared links, overlap cut short, jitter. GPUs of unequal speed all wait for
// the slowest, whose kernels it counts.
#include <map>
#include <memory>
#include <tuple>

#include "kernels/kernel_costs.hpp"
#include "models/operators.hpp"
#include "sim/predict/predict.hpp"
#include "sim/studies/memory_screen.hpp"

namespace trainyard {

class Screen {
 public:
  // The job's model, cluster and framework count, not the layout it states.
  explicit Screen(const Scenario& job);

  // Time of a step; `scenario` is the job with the choice made.
  Seconds step(const Scenario& scenario, const LayoutChoice& choice);
  MemoryScreen::Need memory(const Scenario& scenario, const LayoutChoice& choice) {
    return memory_.need(scenario, choice);
  }

 private:
  struct PassTimes {
    Seconds embedding{};
    Seconds head{};
    std::map<LayerKind, Seconds> layers;  // forward and backward together
    Bytes message{};                      // over one boundary, one way
  };
  using CollectiveKey = std::tuple<CollectiveOp, double, std::int64_t, std::int64_t>;

  const PassTimes& passes(const Scenario& scenario, const LayoutChoice& choice);
  // Raises the times of a micro-batch to those on one kind of GPU.
  void raise_times(PassTimes& times, const Scenario& scenario, const ShardShape& shard, const KernelCosts& kernels);
  // What one pass through the pipeline costs: all chunks, each at the pace of its slowest stage, and the slowest chunk.
  struct Passage {
    Seconds all{};
    Seconds largest{};
  };
  static Passage passage(const Scenario& scenario, const Layout& layout, const PassTimes& pass);
  // Where the members of a group stand: how many, and how many ranks apart.
  struct Members {
    std::int64_t count;
    std::int64_t stride;
  };
  static Members members_of(const Parallelism& layout, ParallelGroup group);
  Seconds collective(CollectiveOp op, Bytes size, std::int64_t members, std::int64_t stride);
  // What data parallelism exchanges of the fullest stage in every micro-batch, and at the end of the step.
  struct Sharing {
    Seconds per_micro_batch{};
    Seconds per_step{};
  };
  Sharing sharing(const Scenario& scenario, const ParameterShare& held);
  Seconds update(const Scenario& scenario, const ParameterShare& held) const;

  const Scenario& job_;
  Fabric fabric_;
  ScenarioKernelCosts kernels_;
  std::unique_ptr<ClusterNetworkCosts> network_;
  std::map<LayoutChoice, PassTimes> passes_;  // by the choice but for what passes do not depend on
  std::map<CollectiveKey, Seconds> collectives_;
  MemoryScreen memory_;
  double slowness_ = 1.0;  // of the slowest GPU
};

}  // namespace trainyard
