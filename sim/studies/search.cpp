#include "sim/studies/search.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "sim/studies/fork_pool.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kLargestMicroBatch = 8;

std::vector<std::int64_t> divisors(std::int64_t number, std::int64_t most) {
  std::vector<std::int64_t> out;
  for (std::int64_t d = 1; d <= std::min(number, most); ++d) {
    if (number % d == 0) {
      out.push_back(d);
    }
  }
  return out;
}

// The scenario as a user would have written it, checked like any other.
Scenario chosen(const Scenario& job, const LayoutChoice& choice) {
  Scenario named = job;
  apply_choice(named, choice);
  Json document = job.resolved;
  document["layout"]["tp"] = choice.tp;
  document["layout"]["pp"] = choice.pp;
  document["layout"]["vpp"] = choice.vpp;
  document["layout"]["dp"] = choice.dp;
  document["layout"]["sequence_parallel"] = named.layout.sequence_parallel == SequenceParallel::kOn;
  document["training"]["micro_batch"] = choice.micro_batch;
  document["training"]["recompute"] = kRecomputeNames.name_of(choice.recompute);
  document["training"]["zero_stage"] = choice.zero_stage;
  document["training"]["schedule"] = kScheduleNames.name_of(named.training.schedule);
  return read_scenario(document, "search");
}

void simulate_best(const Scenario& job, std::size_t count, std::vector<SearchedLayout>& layouts) {
  std::vector<std::size_t> tasks;
  for (std::size_t i = 0; i < layouts.size() && tasks.size() < count; ++i) {
    if (layouts[i].fits) {
      tasks.push_back(i);
    }
  }
  const auto results = run_in_children(tasks.size(), available_processors(), [&](std::size_t task) -> std::string {
    const Report report = answer(chosen(job, layouts[tasks[task]].choice)).report;
    return Json{{"step", report.step.value}, {"mfu", report.mfu}}.dump();
  });
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    if (results[task]) {  // a layout whose simulation failed keeps its formula
      const Json result = Json::parse(*results[task]);
      layouts[tasks[task]].simulated = Seconds{result.at("step").get<double>()};
      layouts[tasks[task]].mfu = result.at("mfu").get<double>();
    }
  }
}

}  // namespace

std::vector<LayoutChoice> legal_layouts(const Scenario& job) {
  std::vector<LayoutChoice> out;
  const std::int64_t per_node = job.cluster.gpus_per_node;
  for (const std::int64_t tp : divisors(job.gpus, per_node)) {
    if (job.model.heads % tp != 0) {
      continue;
    }
    for (const std::int64_t pp : divisors(job.gpus / tp, job.model.layers)) {
      const std::int64_t dp = job.gpus / tp / pp;
      for (std::int64_t micro_batch = 1; micro_batch <= kLargestMicroBatch; micro_batch *= 2) {
        if (job.training.global_batch % (micro_batch * dp) != 0) {
          continue;
        }
        const std::int64_t micro_batches = job.training.global_batch / (micro_batch * dp);
        for (const std::int64_t vpp : divisors(job.model.layers, job.model.layers / pp)) {
          const bool interleaves = pp > 1 && job.model.layers % (pp * vpp) == 0 && micro_batches % pp == 0 &&
                                   job.framework.stage_split == StageSplit::kEven;
          if (vpp > 1 && !interleaves) {
            continue;
          }
          for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
            for (const int zero_stage : {0, 1}) {
              out.push_back({.tp = tp,
                             .pp = pp,
                             .vpp = vpp,
                             .dp = dp,
                             .micro_batch = micro_batch,
                             .recompute = recompute,
                             .zero_stage = zero_stage});
            }
          }
        }
      }
    }
  }
  return out;
}

SearchResult search_layouts(const Scenario& job, std::size_t simulated) {
  SearchResult result{.capacity = job.gpu.memory};
  for (const GpuSpec& gpu : job.different_gpus()) {
    result.capacity = min(result.capacity, gpu.memory);
  }
  const auto begin = std::chrono::steady_clock::now();
  Screen screen(job);
  for (const LayoutChoice& choice : legal_layouts(job)) {
    const Bytes memory = screen.memory(choice);
    result.layouts.push_back(
        {.choice = choice, .step = screen.step(choice), .memory = memory, .fits = memory <= result.capacity});
  }
  result.screening = {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  std::stable_sort(result.layouts.begin(), result.layouts.end(),
                   [](const SearchedLayout& a, const SearchedLayout& b) { return a.step < b.step; });
  simulate_best(job, simulated, result.layouts);
  std::stable_sort(result.layouts.begin(), result.layouts.end(), [](const SearchedLayout& a, const SearchedLayout& b) {
    return a.simulated.has_value() != b.simulated.has_value() ? a.simulated.has_value()
                                                              : a.best_known() < b.best_known();
  });
  std::vector<std::size_t> by_time(result.layouts.size());
  std::iota(by_time.begin(), by_time.end(), std::size_t{0});
  std::stable_sort(by_time.begin(), by_time.end(), [&](std::size_t a, std::size_t b) {
    return result.layouts[a].best_known() < result.layouts[b].best_known();
  });
  for (const std::size_t i : by_time) {
    if (result.layouts[i].fits &&
        (result.front.empty() || result.layouts[i].memory < result.layouts[result.front.back()].memory)) {
      result.front.push_back(i);
    }
  }
  return result;
}

}  // namespace trainyard
