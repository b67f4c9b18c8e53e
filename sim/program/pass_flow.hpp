#pragma once
// Passes of a stage as sequences that can run one after the other, or two beside each other: while one exchanges tokens
// with the experts of other ranks, the other one computes.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "sim/program/communicators.hpp"
#include "sim/program/rank_builder.hpp"
#include "sim/program/stage_work.hpp"

namespace trainyard {

// What a pass does, in order: priced steps, and calls of whoever adds operations between them. The steps outlive it.
class PassFlow {
 public:
  explicit PassFlow(PassLabel label) : label_(label) {}

  void add(const PricedPass& steps) {
    for (const PricedStep& step : steps) {
      items_.emplace_back(&step);
    }
  }
  void add(std::function<void()> call) { items_.emplace_back(std::move(call)); }

 private:
  friend class PassRunner;
  using Item = std::variant<const PricedStep*, std::function<void()>>;

  const PricedStep* step_at(std::size_t index) const {
    const auto* step = index < items_.size() ? std::get_if<const PricedStep*>(&items_[index]) : nullptr;
    return step == nullptr ? nullptr : *step;
  }
  bool is_over() const { return next_ >= items_.size(); }

  PassLabel label_;
  std::vector<Item> items_;
  std::size_t next_ = 0;
  std::vector<OperationId> frontier_;  // of this pass alone, while it runs beside another
  std::vector<OperationId> beside_;    // collectives that run beside kernels, oldest first
};

class PassRunner {
 public:
  PassRunner(Communicators& communicators, RankBuilder& builder) : communicators_(communicators), builder_(builder) {}

  void run(PassFlow& flow);
  // Both wait for what was there before, and what follows waits for both. The passes take turns: each goes on until it
  // has started an exchange with experts, which then runs beside the other one's kernels. The backward pass comes
  // first: its first exchange is near its beginning. Source: Megatron-LM
  // core/models/common/model_chunk_schedule_plan.py.
  void run_beside(PassFlow& forward, PassFlow& backward);

 private:
  // Whether the flow's next step is an exchange with experts that the host does not wait for.
  bool exchanges_next(const PassFlow& flow) const;
  void advance(PassFlow& flow);
  // How a step appears in the program: found out once, steps come again with every micro-batch.
  struct Appearance {
    std::int32_t name = 0;
    Category category = Category::kCompute;
    StreamName stream = StreamName::kCompute;
    CommunicationId communication;
  };
  const Appearance& appearance(const PricedRun& priced);
  const Appearance& appearance(const GroupCollective& collective);
  // Until an exchange has started or the flow is over.
  void take_turn(PassFlow& flow);
  void start(const GroupCollective& collective, PassFlow& flow);

  Communicators& communicators_;
  RankBuilder& builder_;
  std::unordered_map<const void*, Appearance> appearances_;  // looked up alone
};

}  // namespace trainyard
