#include "sim/studies/memory_screen.hpp"

#include <algorithm>

#include "sim/layout/stage_schedule.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

// The steady state of 1F1B and of the interleaved schedule repeats itself with every group of micro-batches, so that as
// many as fill warm-up, one period and flush are under way in all the ways that more would be.
std::int64_t enough_micro_batches(const Scenario& job) {
  const std::int64_t all = job.micro_batches();
  const std::int64_t period = std::max(job.layout.pp, job.training.micro_batch_group);
  const std::int64_t periods = job.layout.vpp > 1 ? 4 : 2;
  return all < periods * period ? all : periods * period + all % period;
}

bool all_covered(const std::vector<PassesUnderWay>& more, const std::vector<PassesUnderWay>& less) {
  return std::all_of(less.begin(), less.end(), [&](const PassesUnderWay& one) {
    return std::any_of(more.begin(), more.end(), [&](const PassesUnderWay& other) { return covers(other, one); });
  });
}

}  // namespace

MemoryScreen::Split& MemoryScreen::split(const Scenario& job, const LayoutChoice& choice) {
  LayoutChoice key = choice;
  key.micro_batch = 1;
  key.recompute = Recompute::kNone;
  key.recompute_modules.clear();
  if (const auto known = splits_.find(key); known != splits_.end()) {
    return known->second;
  }
  Split out{.layout = make_layout(job)};
  // Where all layers are alike it does not matter which of them a chunk has.
  const bool alike = layer_kinds(job.model).size() == 1;
  std::map<ChunkShape, std::size_t> numbers;
  for (const Stage& stage : out.layout.stages) {
    std::vector<std::size_t>& shapes = out.shapes.emplace_back();
    std::vector<std::size_t>& counted_as = out.counted_as.emplace_back();
    for (const Chunk& chunk : stage.chunks) {
      const ChunkShape parts{alike ? 0 : chunk.first_layer, chunk.layers, chunk.embedding, chunk.head};
      const auto [number, is_first] = numbers.try_emplace(parts, out.chunks.size());
      if (is_first) {
        out.chunks.push_back(chunk);
        out.keys.push_back(parts);
      }
      const auto found = std::find(shapes.begin(), shapes.end(), number->second);
      counted_as.push_back(static_cast<std::size_t>(found - shapes.begin()));
      if (found == shapes.end()) {
        shapes.push_back(number->second);
      }
    }
  }
  return splits_.emplace(key, std::move(out)).first->second;
}

// Stages that hold the same are left out but for the one that has most under way.
const std::vector<MemoryScreen::Candidate>& MemoryScreen::candidates(const Scenario& job, const LayoutChoice& choice,
                                                                     const Split& split) {
  const std::int64_t micro_batches = enough_micro_batches(job);
  // How the model is cut, and nothing of how a stage shares out its part.
  const LayoutChoice key{.pp = choice.pp, .vpp = choice.vpp, .embedding = choice.embedding, .loss = choice.loss};
  const auto [entry, is_new] = candidates_.try_emplace({key, micro_batches});
  std::vector<Candidate>& out = entry->second;
  if (!is_new) {
    return out;
  }
  ScheduleShape shape = schedule_shape(job);
  shape.micro_batches = static_cast<std::int32_t>(micro_batches);
  const std::vector<PassOrder> orders = pass_orders(job.training.schedule, shape);
  for (std::size_t stage = 0; stage < orders.size(); ++stage) {
    Candidate one{.stage = stage, .moments = fullest_moments(orders[stage], split.counted_as[stage])};
    const bool is_covered = std::any_of(out.begin(), out.end(), [&](const Candidate& other) {
      return split.shapes[other.stage] == split.shapes[stage] &&
             split.counted_as[other.stage] == split.counted_as[stage] && all_covered(other.moments, one.moments);
    });
    if (!is_covered) {
      out.push_back(std::move(one));
    }
  }
  return out;
}

const ChunkHoldings& MemoryScreen::holdings(const Scenario& job, const LayoutChoice& choice, const Split& split,
                                            std::size_t shape) {
  LayoutChoice key = choice;
  key.pp = key.vpp = key.dp = 1;
  key.embedding = key.loss = EndPlacement::kWithLayers;
  key.zero_stage = 0;
  const auto [entry, is_new] = holdings_[key].try_emplace(split.keys[shape]);
  if (is_new) {
    entry->second = chunk_holdings(job, split.layout, split.chunks[shape]);
  }
  return entry->second;
}

namespace {

// Only the schedules that a search chooses repeat themselves; and where GPUs differ, or the hosts hold a part, the
// fullest stage is not that of the largest sum.
bool needs_whole_estimate(const Scenario& job) {
  const ScheduleName schedule = job.training.schedule;
  return (schedule != ScheduleName::kOneFOneB && schedule != ScheduleName::kInterleaved) || !job.gpu_kinds.empty() ||
         job.training.offload.any();
}

}  // namespace

MemoryScreen::Need MemoryScreen::need(const Scenario& job, const LayoutChoice& choice) {
  if (needs_whole_estimate(job)) {
    const MemoryEstimate whole = estimate_memory(job, make_layout(job));
    return {.peak = whole.peak, .fits = whole.fits()};
  }
  const Bytes most = peak(job, choice);
  return {.peak = most, .fits = most <= job.gpu.memory};
}

Bytes MemoryScreen::peak(const Scenario& job, const LayoutChoice& choice) {
  Split& cut = split(job, choice);
  cut.layout.shard.micro_batch = job.training.micro_batch;
  for (ShardShape& shard : cut.layout.expert_shards) {
    shard.micro_batch = job.training.micro_batch;
  }
  std::vector<ChunkHoldings> by_shape;
  for (std::size_t shape = 0; shape < cut.chunks.size(); ++shape) {
    by_shape.push_back(holdings(job, choice, cut, shape));
  }
  Bytes peak{};
  for (const Candidate& candidate : candidates(job, choice, cut)) {
    StageHoldings stage = holdings_beside_chunks(job, cut.layout, candidate.stage);
    for (const std::size_t shape : cut.shapes[candidate.stage]) {
      stage.chunks.push_back(by_shape[shape]);
    }
    for (const PassesUnderWay& moment : candidate.moments) {
      peak = max(peak, uses_at(stage, moment).total());
    }
    peak = max(peak, stage.update.value_or(MemoryUses{}).total());
  }
  return peak;
}

}  // namespace trainyard
