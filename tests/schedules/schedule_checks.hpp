#pragma once
// Shapes that every schedule is tried on, and a player that runs passes of given lengths with free communication.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "sim/schedules/schedule.hpp"

namespace trainyard::checks {

struct Case {
  ScheduleName name;
  ScheduleShape shape;
};

// Any shape that the schedule takes.
inline Case any_case() {
  std::vector<ScheduleName> names;
  for (const auto& [text, name] : kScheduleNames.rows) {
    names.push_back(name);
  }
  Case out{.name = *rc::gen::elementOf(names), .shape = {}};
  const ScheduleTraits& traits = schedule_traits(out.name);
  ScheduleShape& shape = out.shape;
  shape.placement = traits.placement;
  shape.stages = *rc::gen::inRange(traits.most_chunks > 2 ? 2 : 1, 9);
  shape.chunks = traits.most_chunks > 2 ? *rc::gen::inRange(2, 5) : static_cast<std::int32_t>(traits.fewest_chunks);
  shape.micro_batches = *rc::gen::inRange(1, 25);
  if (out.name == ScheduleName::kInterleaved) {
    shape.group = *rc::gen::inRange(shape.stages, 2 * shape.stages + 1);
    const int rest = *rc::gen::inRange(shape.stages - 1, shape.group);
    shape.micro_batches = shape.group * *rc::gen::inRange(1, 4) + (rest < shape.stages ? 0 : rest);
    shape.pairs = *rc::gen::element(Pairs::kApart, Pairs::kJoined);
  } else {
    const std::int32_t multiple = traits.needs_even() ? 2 : 1;
    shape.stages = traits.needs_even() ? 2 * *rc::gen::inRange(1, 6) : shape.stages;
    shape.micro_batches =
        multiple * shape.micro_batches + static_cast<std::int32_t>(traits.fewest_per_stage) * shape.stages;
  }
  return out;
}

struct Lengths {
  double forward = 1.0;
  double inputs = 1.0;
  double weights = 1.0;
  double of(PassKind kind) const {
    return kind == PassKind::kForward          ? forward
           : kind == PassKind::kInputGradient  ? inputs
           : kind == PassKind::kWeightGradient ? weights
                                               : inputs + weights;
  }
};

struct Played {
  double step = 0.0;
  std::vector<double> idle;  // of each stage, between its first and its last pass
};

// Nothing when the orders deadlock. Joined passes start together and end together.
inline std::optional<Played> play(const std::vector<PassOrder>& orders, const ScheduleShape& shape,
                                  const Lengths& lengths = {}) {
  using Tensor = std::tuple<MessageContent, std::int32_t, std::int32_t>;  // content, boundary, micro-batch
  std::map<Tensor, double> made;
  std::vector<std::size_t> next(orders.size(), 0);
  std::vector<double> free(orders.size(), 0.0);
  std::vector<double> first(orders.size(), -1.0);
  std::vector<double> busy(orders.size(), 0.0);
  for (bool progress = true; progress;) {
    progress = false;
    for (std::size_t s = 0; s < orders.size(); ++s) {
      while (next[s] < orders[s].size()) {
        std::size_t end = next[s] + 1;
        while (orders[s][end - 1].joined == Joined::kWithNext) {
          ++end;
        }
        double start = free[s];
        double length = 0.0;
        bool ready = true;
        std::vector<Tensor> outputs;
        for (std::size_t i = next[s]; i < end; ++i) {
          const StagePass& pass = orders[s][i];
          length += lengths.of(pass.kind);
          if (pass.kind == PassKind::kWeightGradient) {
            continue;
          }
          const std::int32_t chunk = model_chunk_of(shape, static_cast<std::int32_t>(s), pass.chunk);
          const bool is_forward = pass.kind == PassKind::kForward;
          const auto content = is_forward ? MessageContent::kActivation : MessageContent::kGradient;
          const std::int32_t boundary = is_forward ? chunk : chunk + 1;
          if (has_boundary(shape, boundary)) {
            const auto input = made.find({content, boundary, pass.micro_batch});
            ready = ready && input != made.end();
            start = input != made.end() ? std::max(start, input->second) : start;
          }
          outputs.emplace_back(content, is_forward ? chunk + 1 : chunk, pass.micro_batch);
        }
        if (!ready) {
          break;
        }
        first[s] = first[s] < 0.0 ? start : first[s];
        free[s] = start + length;
        busy[s] += length;
        for (const Tensor& output : outputs) {
          made[output] = free[s];
        }
        next[s] = end;
        progress = true;
      }
    }
  }
  Played played;
  for (std::size_t s = 0; s < orders.size(); ++s) {
    if (next[s] < orders[s].size()) {
      return std::nullopt;
    }
    played.step = std::max(played.step, free[s]);
    played.idle.push_back(free[s] - first[s] - busy[s]);
  }
  return played;
}

}  // namespace trainyard::checks
