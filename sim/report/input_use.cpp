#include "sim/report/input_use.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/base/quantity_text.hpp"
#include "sim/program/input_times.hpp"

namespace trainyard {
namespace {

// Waits that are rounding.
constexpr double kNoWait = 1e-9;

// The ranks that read samples wait for all of them.
double waiting_share(const Layout& layout) {
  const auto reading = std::count_if(layout.stages.begin(), layout.stages.end(),
                                     [](const Stage& stage) { return stage.reads_samples(); });
  return static_cast<double>(reading) / static_cast<double>(layout.stages.size());
}

InputNeed count_needed(std::string_view key, std::int64_t now, double factor) {
  const double value = std::ceil(static_cast<double>(now) * factor * (1.0 - kNoWait));
  return {key, value, fmt::format("{} {:.0f} in place of {}", key, value, now)};
}

InputNeed rate_needed(std::string_view key, BytesPerSecond now, double factor) {
  const BytesPerSecond value = now * factor;
  return {key, value.value, fmt::format("{} {} in place of {}", key, to_text(value), to_text(now))};
}

// With `free` the time that the device alone takes for a step in which the pipeline's parts take `times`.
std::vector<InputNeed> needs_of(const InputOptions& input, const InputTimes& times, double batches, Seconds free) {
  std::vector<InputNeed> needs;
  const auto too_slow = [&](Seconds time) { return time * batches > free; };
  const auto factor = [&](Seconds time) { return time * batches / free; };
  if (input.prefetch == 0) {
    needs.push_back({"prefetch", 1.0, "prefetch 1 in place of 0"});
  }
  if (too_slow(times.latency)) {
    needs.push_back(count_needed("storage.requests", input.storage.requests, factor(times.latency)));
  }
  if (too_slow(times.of_node)) {
    needs.push_back(rate_needed("storage.node_bandwidth", *input.storage.node_bandwidth, factor(times.of_node)));
  }
  if (too_slow(times.of_all)) {
    needs.push_back(rate_needed("storage.bandwidth", *input.storage.bandwidth, factor(times.of_all)));
  }
  if (too_slow(times.decode)) {
    InputNeed workers = count_needed("workers", input.workers, factor(times.decode));
    if (input.most_workers > 0 && workers.value > static_cast<double>(input.most_workers)) {
      workers.text += fmt::format(" (the node's {} cores allow {})", input.cores, input.most_workers);
    }
    needs.push_back(std::move(workers));
  }
  if (needs.empty() && input.prefetch > 0 && times.pace() > Seconds{}) {
    const auto more = static_cast<double>(input.prefetch + 1);
    needs.push_back({"prefetch", more, fmt::format("prefetch {:.0f} or more in place of {}", more, input.prefetch)});
  }
  return needs;
}

}  // namespace

std::optional<InputUse> input_use(const Scenario& scenario, const Layout& layout, Seconds step,
                                  const Breakdown& breakdown) {
  if (!scenario.input) {
    return std::nullopt;
  }
  const InputTimes times = input_times(scenario, layout);
  const auto batches = static_cast<double>(scenario.micro_batches());
  InputUse use;
  use.read = times.read() * batches;
  use.decode = times.decode * batches;
  if (scenario.input->tensor > Bytes{}) {
    use.copy = scenario.input->tensor * (batches * static_cast<double>(scenario.training.micro_batch)) /
               scenario.cluster.node.host_link;
  }
  use.waited = min(breakdown.input / waiting_share(layout), step);
  const std::array<std::pair<Seconds, std::string_view>, 3> parts = {
      {{use.read, "storage"}, {use.decode, "decode"}, {use.copy, "copy"}}};
  const auto longest =
      std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  use.binds = longest->first > Seconds{} ? longest->second : "none";
  if (use.waited > step * kNoWait) {
    use.needs = needs_of(*scenario.input, times, batches, step - use.waited);
  } else {
    use.waited = {};
  }
  return use;
}

Json input_use_json(const InputUse& use) {
  Json needs = Json::object();
  for (const InputNeed& need : use.needs) {
    needs[std::string(need.key)] = need.value;
  }
  return {{"read_s", use.read.value},     {"decode_s", use.decode.value}, {"copy_s", use.copy.value},
          {"waited_s", use.waited.value}, {"binds", use.binds},           {"needs", std::move(needs)}};
}

std::string input_use_text(const InputUse& use, Seconds step) {
  std::string out = fmt::format("storage {}, decode {}, copies {} for the samples of a step of {}", to_text(use.read),
                                to_text(use.decode), to_text(use.copy), to_text(step));
  if (use.waited <= Seconds{}) {
    return out + "; no GPU waits for them";
  }
  out += fmt::format("\n              {} binds: GPUs wait {} for samples", use.binds, to_text(use.waited));
  for (std::size_t i = 0; i < use.needs.size(); ++i) {
    out += fmt::format("{}{}", i == 0 ? "; they would not with " : " and ", use.needs[i].text);
  }
  return out;
}

}  // namespace trainyard
