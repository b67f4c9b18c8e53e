#include "sim/schedules/weight_filler.hpp"

#include <array>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

class Filler {
 public:
  Filler(const std::vector<PassOrder>& orders, const ScheduleShape& shape, std::int32_t most_held)
      : orders_(orders), shape_(shape), most_held_(most_held), stages_(orders.size()) {
    const auto model_chunks = static_cast<std::size_t>(shape.stages) * static_cast<std::size_t>(shape.chunks);
    for (const PassOrder& order : orders) {
      left_ += order.size();
    }
    for (auto& of_kind : end_) {
      of_kind.assign(model_chunks * static_cast<std::size_t>(shape.micro_batches), kNever);
    }
  }

  std::vector<PassOrder> fill() {
    for (std::int64_t now = 0; left_ > 0; ++now) {
      // Passes are equally long, so when nobody has anything to do nobody ever will.
      TY_ASSERT(step(now));
    }
    std::vector<PassOrder> out;
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      Stage& stage = stages_[s];
      for (; stage.weighted < stage.given.size(); ++stage.weighted) {
        weigh(stage);
      }
      out.push_back(std::move(stage.done));
    }
    return out;
  }

 private:
  struct Stage {
    std::size_t next = 0;
    PassOrder done;
    PassOrder given;           // input-gradient passes so far
    std::size_t weighted = 0;  // of those: weight gradient done
    std::int32_t held = 0;
  };

  std::int64_t& end(PassKind kind, std::int32_t model_chunk, std::int32_t micro_batch) {
    return end_[kind == PassKind::kForward ? 0 : 1]
               [static_cast<std::size_t>(model_chunk) * static_cast<std::size_t>(shape_.micro_batches) +
                static_cast<std::size_t>(micro_batch)];
  }

  bool can_start(std::int32_t s, const Stage& stage, const StagePass& pass, std::int64_t now) {
    const std::int32_t chunk = model_chunk_of(shape_, s, pass.chunk);
    if (pass.kind == PassKind::kForward) {
      return stage.held < most_held_ &&
             (!has_boundary(shape_, chunk) || end(pass.kind, chunk - 1, pass.micro_batch) <= now);
    }
    return end(PassKind::kForward, chunk, pass.micro_batch) <= now &&
           (!has_boundary(shape_, chunk + 1) || end(pass.kind, chunk + 1, pass.micro_batch) <= now);
  }

  static void weigh(Stage& stage) {
    StagePass pass = stage.given[stage.weighted];
    pass.kind = PassKind::kWeightGradient;
    stage.done.push_back(pass);
    --stage.held;
  }

  // One unit of time on every stage; whether any did anything.
  bool step(std::int64_t now) {
    bool busy = false;
    std::vector<std::pair<std::int32_t, StagePass>> started;
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      Stage& stage = stages_[s];
      if (stage.next < orders_[s].size() &&
          can_start(static_cast<std::int32_t>(s), stage, orders_[s][stage.next], now)) {
        const StagePass& pass = orders_[s][stage.next++];
        stage.done.push_back(pass);
        if (pass.kind == PassKind::kForward) {
          ++stage.held;
        } else {
          stage.given.push_back(pass);
        }
        --left_;
        started.emplace_back(static_cast<std::int32_t>(s), pass);
      } else if (stage.weighted < stage.given.size()) {
        weigh(stage);
        ++stage.weighted;
        busy = true;
      }
    }
    for (const auto& [s, pass] : started) {
      end(pass.kind, model_chunk_of(shape_, s, pass.chunk), pass.micro_batch) = now + 1;
    }
    return busy || !started.empty();
  }

  const std::vector<PassOrder>& orders_;
  const ScheduleShape& shape_;
  std::int32_t most_held_;
  std::vector<Stage> stages_;
  std::array<std::vector<std::int64_t>, 2> end_;
  std::size_t left_ = 0;  // passes of the orders that have not run
};

}  // namespace

std::vector<PassOrder> fill_with_weight_gradients(const std::vector<PassOrder>& orders, const ScheduleShape& shape,
                                                  std::int32_t most_held) {
  return Filler(orders, shape, most_held).fill();
}

}  // namespace trainyard
