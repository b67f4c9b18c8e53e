#include "sim/report/memory_timeline.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/layout/memory_meter.hpp"

namespace trainyard {
namespace {

// A run of a rank's operations that belong to one pass.
struct PassRun {
  PassRole role = PassRole::kNone;
  std::int32_t micro_batch = -1;
  std::int16_t chunk = -1;
  double start = 0.0;  // of its first kernel
  double end = 0.0;    // of its last one
};

std::vector<PassRun> pass_runs(const RankProgram& program, const RankTimeline& rank) {
  std::vector<PassRun> runs;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.role == PassRole::kNone || operation.kind != OperationKind::kKernels ||
        operation.stream != StreamName::kCompute) {
      continue;
    }
    // Two passes may take turns.
    const auto known = std::find_if(
        runs.end() - std::min<std::ptrdiff_t>(2, std::ssize(runs)), runs.end(), [&operation](const PassRun& run) {
          return run.role == operation.role && run.micro_batch == operation.micro_batch && run.chunk == operation.chunk;
        });
    PassRun& run = known != runs.end() ? *known
                                       : runs.emplace_back(PassRun{.role = operation.role,
                                                                   .micro_batch = operation.micro_batch,
                                                                   .chunk = operation.chunk,
                                                                   .start = rank.start[i]});
    run.end = rank.end[i];
  }
  // Of two passes beside each other the forward pass counts first, as in the schedule's order: its activations are
  // there before the other's are gone.
  for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
    if (runs[i].role == PassRole::kBackward && runs[i + 1].role == PassRole::kForward &&
        runs[i + 1].start < runs[i].end) {
      runs[i].start = runs[i + 1].start;
      std::swap(runs[i], runs[i + 1]);
    }
  }
  return runs;
}

class Recorder {
 public:
  explicit Recorder(const StageHoldings& holdings) : meter_(holdings) { record(0.0); }

  void run(const PassRun& run) {
    TY_ASSERT(run.chunk >= 0);
    const auto chunk = static_cast<std::size_t>(run.chunk);
    switch (run.role) {
      case PassRole::kForward:
        meter_.begin_forward(chunk);
        record(run.start);
        return;
      case PassRole::kInputGradient:
        meter_.begin_backward(chunk);
        record(run.start);
        meter_.end_input_gradient(chunk);
        record(run.end);
        return;
      case PassRole::kWeightGradient:
        meter_.end_weight_gradient(chunk);
        break;
      case PassRole::kBackward:
      case PassRole::kNone:
        meter_.begin_backward(chunk);
        record(run.start);
        meter_.end_backward(chunk);
        break;
    }
    record(run.end);
    meter_.release_gradients();
    record(run.end);
  }

  void finish(RankMemory& out) {
    out.samples = std::move(samples_);
    out.peak = peak_;
    out.peak.host = meter_.peak().host;
  }

 private:
  void record(double time) {
    samples_.push_back({.time = {time}, .uses = meter_.now()});
    if (meter_.peak().total > peak_.total) {
      peak_ = meter_.peak();
      peak_.at = Seconds{time};
    }
  }

  MemoryMeter meter_;
  std::vector<MemorySample> samples_;
  StageMemory peak_;
};

}  // namespace

std::vector<RankMemory> memory_timelines(const Scenario& scenario, const Layout& layout, const Program& program,
                                         const Timeline& timeline) {
  std::vector<StageHoldings> holdings;
  for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
    holdings.push_back(stage_holdings(scenario, layout, stage));
  }
  std::vector<RankMemory> out;
  for (const RankTimeline& rank : timeline.ranks) {
    RankMemory& memory = out.emplace_back();
    memory.rank = rank.rank;
    memory.stage =
        static_cast<std::size_t>(layout.grid.coordinates(rank.rank)[static_cast<std::size_t>(Dimension::kPipeline)]);
    Recorder recorder(holdings[memory.stage]);
    for (const PassRun& run : pass_runs(program.classes[rank.program_class.index()], rank)) {
      recorder.run(run);
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
