#pragma once
// The pipe: scenario -> layout -> program -> timeline -> report.
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "sim/collectives/network_costs.hpp"
#include "sim/report/report.hpp"

namespace trainyard {

struct Prediction {
  Layout layout;
  Program program;
  Timeline timeline;
  Report report;
};

// What kernels cost on every kind of GPU of the scenario, under its framework.
class ScenarioKernelCosts {
 public:
  explicit ScenarioKernelCosts(const Scenario& scenario);
  std::span<const KernelCosts* const> by_kind() const { return by_kind_; }

 private:
  std::vector<std::unique_ptr<KernelCosts>> owned_;
  std::vector<const KernelCosts*> by_kind_;
};

// The first part of the pipe, for callers that want the step time alone.
Seconds predict_step(const Scenario& scenario);

// Throws UserError (exit code 4) when the stages of a user's own schedule wait for each other; the others never do. For
// callers that simulate nothing.
void check_schedule_table(const Scenario& scenario);

// Throws UserError where the scenario has a strategy of many updates; `why` says what is asked of one step.
void refuse_updates(const Scenario& scenario, std::string_view why);

// Throws UserError (exit code 4) on a deadlock, and as refuse_updates() does.
Prediction predict(const Scenario& scenario);

// What is wanted of a run when nobody looks at its timeline.
struct Answer {
  Layout layout;
  Report report;
};

// The same report as predict() within 1e-9, from fewer micro-batches where the pipeline repeats itself
// (repetition.hpp). What repeats is simulated in children, the rest here. Throws as predict() does.
Answer answer_step(const Scenario& scenario);

// What the scenario's cluster charges for communication under its framework's NCCL.
class ClusterNetworkCosts final : public NetworkCosts {
 public:
  ClusterNetworkCosts(const Scenario& scenario, const Fabric& fabric);
  CollectivePlan plan(const CollectiveRequest& request) const override;

 private:
  const ClusterSpec& cluster_;
  const Fabric& fabric_;
  CollectiveOptions options_;
};

}  // namespace trainyard
