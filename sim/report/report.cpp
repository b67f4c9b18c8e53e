#include "sim/report/report.hpp"

#include <map>

#include "models/operators.hpp"
#include "sim/memory/recompute.hpp"
#include "sim/report/memory_timeline.hpp"

namespace trainyard {
namespace {

// FLOPs of one step that recomputation repeats, over all devices.
Flops recomputed_flops(const Scenario& scenario, const Layout& layout) {
  std::map<LayerKind, Flops> of_kind;
  const RecomputePlan covered = recompute_plan(scenario.training, 0);
  for (const LayerKind& kind : layer_kinds(scenario.model)) {
    of_kind[kind] =
        executed_flops(layer_recompute(scenario.model, kind, layout.shard, scenario.framework.operators, covered));
  }
  Flops repeated{};
  for (const Stage& stage : layout.stages) {
    for (const Chunk& chunk : stage.chunks) {
      for (std::int64_t i = 0; i < chunk.layers; ++i) {
        if (recompute_plan(scenario.training, i).granularity != Recompute::kNone) {
          repeated += of_kind.at(layer_kind(scenario.model, chunk.first_layer + i));
        }
      }
    }
  }
  const double passes = static_cast<double>(scenario.micro_batches() * scenario.layout.dp);
  return repeated * (passes * static_cast<double>(scenario.layout.tp));
}

// Of the average GPU.
FlopsPerSecond peak_of(const Scenario& scenario) {
  if (scenario.gpu_kinds.empty()) {
    return scenario.gpu.peak_for(scenario.training.precision);
  }
  FlopsPerSecond sum{};
  for (const std::int32_t kind : scenario.gpu_kind_of) {
    sum += scenario.gpu_kinds[static_cast<std::size_t>(kind)].peak_for(scenario.training.precision);
  }
  return sum / static_cast<double>(scenario.gpu_kind_of.size());
}

}  // namespace

void set_rates(Report& report, const Scenario& scenario, const Layout& layout) {
  const double samples = static_cast<double>(scenario.training.global_batch);
  const double tokens = samples * static_cast<double>(scenario.training.seq_len);
  report.samples_per_second = samples / report.step.value;
  report.tokens_per_second = tokens / report.step.value;
  const Flops model_flops =
      flops_per_token(scenario.model, scenario.training.seq_len, scenario.training.document_len) * tokens;
  const auto gpus = static_cast<double>(scenario.gpus);
  report.model_flops_per_gpu = model_flops / report.step / gpus;
  const FlopsPerSecond peak = peak_of(scenario);
  report.mfu = report.model_flops_per_gpu / peak;
  report.hfu = (model_flops + recomputed_flops(scenario, layout)) / report.step / gpus / peak;
}

Report make_report(const Scenario& scenario, const Layout& layout, const Program& program, const Timeline& timeline) {
  Report report;
  report.step = timeline.step;
  report.micro_batches = report.micro_batches_simulated = scenario.micro_batches();
  set_rates(report, scenario, layout);
  report.breakdown = break_down(program, timeline);
  report.input = input_use(scenario, layout, report.step, report.breakdown);
  report.memory = memory_of(scenario, layout, program, timeline);
  report.critical_path = critical_path(program, timeline);
  report.links = timeline.links;
  report.events = timeline.events;
  report.ranks = static_cast<std::int64_t>(program.ranks());
  report.ranks_simulated = static_cast<std::int64_t>(timeline.ranks.size());
  report.flows_simulated = timeline.flows_simulated;
  report.flows = timeline.flows_real;
  report.links_simulated = timeline.links_simulated;
  report.links_used = timeline.links_real;
  return report;
}

}  // namespace trainyard
