#include "sim/program/input_pipeline.hpp"

#include <algorithm>

namespace trainyard {

InputPipeline::InputPipeline(const HostCopies& copies, const Layout& layout) : copies_(copies) {
  for (const Chunk& chunk : layout.stages[static_cast<std::size_t>(copies.stage)].chunks) {
    reads_.push_back(copies.scenario.input && chunk.reads_samples() ? 1 : 0);
  }
  if (std::find(reads_.begin(), reads_.end(), 1) != reads_.end()) {
    times_ = input_times(copies.scenario, layout);
  }
}

void InputPipeline::begin_step() {
  if (times_.pace() <= Seconds{}) {
    return;
  }
  if (input().prefetch == 0) {
    make_now();
    return;
  }
  for (std::int64_t j = 0; j <= std::min(room(), copies_.scenario.micro_batches() - 1); ++j) {
    make({});
  }
}

void InputPipeline::before_forward(std::int32_t chunk, std::int32_t micro_batch) {
  if (reads_[static_cast<std::size_t>(chunk)] == 0 || !taken_.insert(micro_batch).second) {
    return;
  }
  const PassLabel label = copies_.builder.exchange_label({});
  input().prefetch > 0 ? take_ahead() : take_now();
  copies_.builder.exchange_label(label);
}

void InputPipeline::make(std::span<const OperationId> after) {
  const char* const name = times_.read() > times_.decode ? "read samples" : "decode samples";
  made_.push_back(copies_.builder.on_host_processors(StreamName::kInput, Category::kInput, name, times_.pace(), after));
}

void InputPipeline::make_now() {
  RankBuilder& builder = copies_.builder;
  const std::vector<OperationId> wanted = builder.frontier();
  for (const auto& [name, time] : {std::pair{"read samples", times_.read()}, {"decode samples", times_.decode}}) {
    if (time > Seconds{}) {
      made_.push_back(builder.on_host_processors(StreamName::kInput, Category::kInput, name, time, wanted));
    }
  }
  builder.join(made_.back());
  builder.host_wait_for_flow("wait for samples");
}

std::optional<OperationId> InputPipeline::made(std::int64_t j) const {
  const std::int64_t begun = j - 1 - ready();
  return begun < 0 || made_.empty() ? std::nullopt : std::optional(made_[static_cast<std::size_t>(begun)]);
}

OperationId InputPipeline::copy(std::vector<OperationId> after) const {
  return copies_.launch_samples("copy samples", batch(), after);
}

// The frontier is what was computed before this pass: then its batch is taken, and the buffer of the next one is free.
void InputPipeline::take_ahead() {
  RankBuilder& builder = copies_.builder;
  const auto j = static_cast<std::int64_t>(taken_.size()) - 1;
  std::vector<OperationId> computed = builder.frontier();
  if (j > 0 && j + room() < copies_.scenario.micro_batches() && times_.pace() > Seconds{}) {
    make(computed);
  }
  const bool ahead = batch() > Bytes{} && input().copies_ahead();
  const auto awaited = made(ahead ? j + 1 : j);
  if (ahead) {
    if (next_) {
      builder.join(*next_);
    }
    if (awaited) {
      computed.push_back(*awaited);
    }
    next_ = copy(std::move(computed));
    return;
  }
  if (awaited) {
    builder.join(*awaited);
  }
  if (batch() > Bytes{}) {
    builder.join(copy(builder.frontier()));
    builder.host_wait_for_flow("copy samples");
  }
}

void InputPipeline::take_now() {
  RankBuilder& builder = copies_.builder;
  if (taken_.size() > 1 && times_.pace() > Seconds{}) {
    make_now();
  }
  if (batch() > Bytes{}) {
    builder.join(copy(builder.frontier()));
    if (input().copies == InputCopies::kBlocking) {
      builder.host_wait_for_flow("copy samples");
    }
  }
}

}  // namespace trainyard
