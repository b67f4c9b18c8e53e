#include "sim/studies/search.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "sim/base/effort.hpp"
#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"

namespace trainyard {
namespace {

void leave_out(std::vector<LeftOut>& counted, const std::string& reason, const std::string& example) {
  const auto known =
      std::find_if(counted.begin(), counted.end(), [&](const auto& one) { return one.reason == reason; });
  if (known == counted.end()) {
    counted.push_back({reason, example, 1});
  } else {
    ++known->layouts;
  }
}

// Of layouts in their final order, those that fit and are smaller than all before them. Formula and simulation are not
// measured against each other: with kSimulated only what was simulated takes part.
enum class Front { kAll, kSimulated };
std::vector<std::size_t> front_of(const std::vector<SearchedLayout>& layouts, Front among) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const bool takes_part = layouts[i].fits && (among == Front::kAll || layouts[i].simulated.has_value());
    if (takes_part && (front.empty() || layouts[i].memory < layouts[front.back()].memory)) {
      front.push_back(i);
    }
  }
  return front;
}

// One of so many simulations, which together may take as long as one alone.
std::string simulate_one(const OpenJob& job, const LayoutChoice& choice, std::size_t of) {
  limit_effort(kMostEvents / static_cast<double>(std::max<std::size_t>(1, of)));
  try {
    const Report report = answer_step(job.scenario(choice)).report;
    return Json{{"step", report.step.value}, {"mfu", report.mfu}, {"memory", report.memory.peak.value}}.dump();
  } catch (const UserError& error) {
    return json_text(Json{{"failed", error.fault().problem}, {"found", error.fault().found}});
  } catch (const std::exception& error) {
    return json_text(Json{{"failed", error.what()}, {"found", ""}});
  }
}

// Simulates the layouts at `order` until `count` of them have succeeded. Those that fail are taken out of the result.
void simulate(const OpenJob& job, const std::vector<std::size_t>& order, std::size_t count, SearchResult& result) {
  std::vector<SearchedLayout>& layouts = result.layouts;
  std::vector<std::size_t> broken;
  std::size_t next = 0;
  for (std::size_t missing = count; missing > 0 && next < order.size();) {
    const std::size_t first = next;
    next = std::min(order.size(), first + missing);
    const auto outputs = run_in_children(next - first, available_processors(), [&](std::size_t task) {
      return simulate_one(job, layouts[order[first + task]].choice, count);
    });
    for (std::size_t task = 0; task < outputs.size(); ++task) {
      SearchedLayout& one = layouts[order[first + task]];
      const Json output = outputs[task] ? Json::parse(*outputs[task])
                                        : Json{{"failed", "the simulation's process was ended"}, {"found", ""}};
      if (output.contains("failed")) {
        leave_out(result.failed, output.at("failed"), output.at("found"));
        broken.push_back(order[first + task]);
        continue;
      }
      one.simulated = Seconds{output.at("step").get<double>()};
      one.mfu = output.at("mfu").get<double>();
      one.memory = Bytes{output.at("memory").get<double>()};
      --missing;
    }
  }
  std::sort(broken.begin(), broken.end(), std::greater<>());
  for (const std::size_t i : broken) {
    layouts.erase(layouts.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

// The fastest by the formula, by which `layouts` are sorted.
void simulate_best(const OpenJob& job, std::size_t count, SearchResult& result) {
  std::vector<std::size_t> order(result.layouts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return !result.layouts[i].fits; });
  simulate(job, order, count, result);
}

void sort_by_best_known(std::vector<SearchedLayout>& layouts) {
  std::stable_sort(layouts.begin(), layouts.end(), [](const SearchedLayout& a, const SearchedLayout& b) {
    return a.simulated.has_value() != b.simulated.has_value() ? a.simulated.has_value()
                                                              : a.best_known() < b.best_known();
  });
}

// Some of what is smaller than all that was simulated, and by the formula on the front, is simulated too: a quarter as
// many, spread evenly, the smallest among them. No row of the front is an estimate.
void settle_front(const OpenJob& job, std::size_t simulated, SearchResult& result) {
  sort_by_best_known(result.layouts);
  result.front = front_of(result.layouts, simulated > 0 ? Front::kSimulated : Front::kAll);
  if (simulated == 0) {
    return;
  }
  std::vector<std::size_t> estimated = front_of(result.layouts, Front::kAll);
  std::erase_if(estimated, [&](std::size_t i) { return result.layouts[i].simulated.has_value(); });
  const std::size_t most = std::max<std::size_t>(1, simulated / 4);
  const std::size_t every = std::max<std::size_t>(1, (estimated.size() + most - 1) / most);
  std::vector<std::size_t> picked;
  for (std::size_t i = 0; i < estimated.size(); i += every) {
    picked.push_back(estimated[estimated.size() - 1 - i]);
  }
  simulate(job, picked, picked.size(), result);
  sort_by_best_known(result.layouts);
  result.front = front_of(result.layouts, Front::kSimulated);
}

// Every candidate that the scenario's own checks pass, by formula.
void screen_all(const OpenJob& job, SearchResult& result) {
  Screen screen(job.stated());
  for (const LayoutChoice& choice : candidate_layouts(job)) {
    if (const auto refused = job.refused_batch(choice)) {
      leave_out(result.illegal, refused->problem, refused->found);
      continue;
    }
    try {
      const Scenario scenario = job.laid_out(choice);
      const MemoryScreen::Need need = screen.memory(scenario, choice);
      result.layouts.push_back(
          {.choice = choice, .step = screen.step(scenario, choice), .memory = need.peak, .fits = need.fits});
    } catch (const UserError& error) {
      leave_out(result.illegal, error.fault().problem, error.fault().found);
    }
  }
}

}  // namespace

SearchResult search_layouts(const OpenJob& job, std::size_t simulated) {
  // Hundreds of layouts, each with its groups on the fabric; the more GPUs, the more layouts and the larger.
  constexpr double kEventsOfGpu = 250.0;
  constexpr double kBytesOfGpu = 4096.0;
  const auto gpus = static_cast<double>(job.stated().gpus);
  require_effort({.events = gpus * kEventsOfGpu, .bytes = gpus * kBytesOfGpu},
                 {.file = "search", .pointer = "/gpus", .remedy = "search on fewer GPUs, and scale dp up in `run`"});
  SearchResult result{.capacity = job.stated().gpu.memory};
  for (const GpuSpec& gpu : job.stated().different_gpus()) {
    result.capacity = min(result.capacity, gpu.memory);
  }
  const auto begin = std::chrono::steady_clock::now();
  screen_all(job, result);
  result.screening = {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  std::stable_sort(result.layouts.begin(), result.layouts.end(),
                   [](const SearchedLayout& a, const SearchedLayout& b) { return a.step < b.step; });
  simulate_best(job, simulated, result);
  settle_front(job, simulated, result);
  return result;
}

}  // namespace trainyard
