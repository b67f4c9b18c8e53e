#include "sim/report/memory_timeline.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "sim/layout/memory_meter.hpp"
#include "sim/layout/stage_schedule.hpp"
#include "sim/program/assembly/stage_program.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

// When a pass of a rank ran: from the start of its first kernel to the end of its last one.
struct Span {
  double start = 0.0;
  double end = 0.0;
};
using PassKey = std::tuple<PassRole, std::int32_t, std::int32_t>;  // and micro-batch and chunk

// Of the passes that have kernels.
std::map<PassKey, Span> spans_of(const RankProgram& program, const RankTimeline& rank) {
  std::map<PassKey, Span> spans;
  auto latest = spans.end();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.role == PassRole::kNone || operation.kind != OperationKind::kKernels ||
        operation.stream != StreamName::kCompute) {
      continue;
    }
    const PassKey key{operation.role, operation.micro_batch, operation.chunk};
    if (latest == spans.end() || latest->first != key) {
      latest = spans.try_emplace(key, Span{.start = rank.start[i]}).first;
    }
    latest->second.end = rank.end[i];
  }
  return spans;
}

// When the kernels of the optimizer run that come after all passes; none: {0, 0}.
std::pair<double, double> update_time(const RankProgram& program, const RankTimeline& rank) {
  std::pair<double, double> out{0.0, 0.0};
  for (std::size_t i = program.operations.size(); i-- > 0;) {
    const Operation& operation = program.operations[i];
    if (operation.role != PassRole::kNone && operation.kind == OperationKind::kKernels) {
      break;
    }
    if (operation.category == Category::kOptimizer && operation.kind == OperationKind::kKernels) {
      out = {rank.start[i], std::max(out.second, rank.end[i])};
    }
  }
  return out;
}

class Recorder {
 public:
  explicit Recorder(const StageHoldings& holdings) : meter_(holdings) { record(0.0); }

  void run(const StagePass& pass, const Span& span) {
    const auto chunk = static_cast<std::size_t>(pass.chunk);
    switch (pass.kind) {
      case PassKind::kForward:
        meter_.begin_forward(chunk);
        record(span.start);
        return;
      case PassKind::kInputGradient:
        meter_.begin_backward(chunk);
        record(span.start);
        meter_.end_input_gradient(chunk);
        record(span.end);
        return;
      case PassKind::kWeightGradient:
        meter_.end_weight_gradient(chunk);
        break;
      case PassKind::kBackward:
        meter_.begin_backward(chunk);
        record(span.start);
        meter_.end_backward(chunk);
        break;
    }
    record(span.end);
    meter_.release_gradients();
    record(span.end);
  }
  // What has no kernels happens when what comes before it has happened.
  double now() const { return now_; }

  void update(double start, double end) {
    meter_.begin_update();
    record(start);
    meter_.end_update();
    record(end);
  }

  void finish(RankMemory& out) {
    out.samples = std::move(samples_);
    out.peak = peak_;
    out.peak.host = meter_.peak().host;
  }

 private:
  // Of two passes beside each other the one that the schedule names first counts first, whichever began before.
  void record(double time) {
    now_ = std::max(now_, time);
    samples_.push_back({.time = {now_}, .uses = meter_.now()});
    if (meter_.peak().total > peak_.total) {
      peak_ = meter_.peak();
      peak_.at = Seconds{now_};
    }
  }

  MemoryMeter meter_;
  std::vector<MemorySample> samples_;
  StageMemory peak_;
  double now_ = 0.0;
};

}  // namespace

// Passes are taken in the schedule's order, as by estimate_memory(), so that both say the same to the byte; the
// timeline says when.
std::vector<RankMemory> memory_timelines(const Scenario& scenario, const Layout& layout, const Program& program,
                                         const Timeline& timeline) {
  std::vector<StageHoldings> holdings;
  for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
    holdings.push_back(stage_holdings(scenario, layout, stage));
  }
  const std::vector<PassOrder> orders = pass_orders(scenario);
  std::vector<RankMemory> out;
  for (const RankTimeline& rank : timeline.ranks) {
    RankMemory& memory = out.emplace_back();
    memory.rank = rank.rank;
    memory.stage =
        static_cast<std::size_t>(layout.grid.coordinates(rank.rank)[static_cast<std::size_t>(Dimension::kPipeline)]);
    Recorder recorder(holdings[memory.stage]);
    const std::map<PassKey, Span> spans = spans_of(program.classes[rank.program_class.index()], rank);
    for (const StagePass& pass : orders[memory.stage]) {
      const auto span = spans.find({role_of(pass.kind), pass.micro_batch, pass.chunk});
      recorder.run(pass, span != spans.end() ? span->second : Span{recorder.now(), recorder.now()});
    }
    if (const auto [start, end] = update_time(program.classes[rank.program_class.index()], rank); end > 0.0) {
      recorder.update(start, end);
    }
    recorder.finish(memory);
  }
  return out;
}

MemoryEstimate memory_of(const std::vector<RankMemory>& ranks, const Scenario& scenario, const Layout& layout) {
  std::vector<StageMemory> stages(layout.stages.size());
  for (const RankMemory& rank : ranks) {
    if (rank.peak.total > stages[rank.stage].total) {
      stages[rank.stage] = rank.peak;
    }
  }
  return make_estimate(std::move(stages), scenario, layout);
}

}  // namespace trainyard
