#include "sim/scenario/read_variation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "sim/base/effort.hpp"
#include "sim/base/json_text.hpp"
#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

// Beyond these nothing was ever measured, and a speed three deviations below the mean comes near to zero.
constexpr double kMostJitter = 1.0;
constexpr double kMostSpread = 0.3;
constexpr double kMostSlowdown = 1000.0;

constexpr std::string_view kRanksForm = R"(a rank, a list of ranks, or ranges as text: 8, [8, 12], "8-15,24")";

[[noreturn]] void fail_ranks(const JsonReader& json, std::string problem, const Scenario& scenario) {
  Place{json.file()}.fail(json.pointer(), std::move(problem), json_text(json.value()), std::string(kRanksForm),
                          fmt::format("name ranks from 0 to {}", scenario.gpus - 1));
}

std::int64_t rank_in(std::string_view text, const JsonReader& json, const Scenario& scenario) {
  std::int64_t rank = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (error != std::errc{} || end != text.data() + text.size() || rank < 0) {
    fail_ranks(json, "these are no ranks", scenario);
  }
  if (rank >= scenario.gpus) {
    fail_ranks(json, fmt::format("the job has {} ranks", scenario.gpus), scenario);
  }
  return rank;
}

// Ranges with commas between them: "8-15,24".
std::vector<std::int64_t> ranges(std::string_view text, const JsonReader& json, const Scenario& scenario) {
  std::vector<std::int64_t> ranks;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string_view range = text.substr(start, comma - start);
    const std::size_t dash = std::min(range.find('-'), range.size());
    const std::int64_t first = rank_in(range.substr(0, dash), json, scenario);
    const std::int64_t last = dash == range.size() ? first : rank_in(range.substr(dash + 1), json, scenario);
    if (last < first) {
      fail_ranks(json, "a range ends before it begins", scenario);
    }
    ranks.resize(ranks.size() + static_cast<std::size_t>(last - first + 1));
    std::iota(ranks.end() - (last - first + 1), ranks.end(), first);
    start = comma + 1;
  }
  return ranks;
}

std::vector<std::int64_t> read_ranks(const JsonReader& json, const Scenario& scenario) {
  std::vector<std::int64_t> ranks;
  if (json.value().is_string()) {
    ranks = ranges(json.text(), json, scenario);
  } else if (json.value().is_array()) {
    for (const JsonReader& rank : json.elements()) {
      ranks.push_back(rank.integer(0, scenario.gpus - 1));
    }
  } else {
    ranks.push_back(json.integer(0, scenario.gpus - 1));
  }
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

// The first rank of every node, and the number of ranks.
std::vector<std::int64_t> first_ranks(const Scenario& scenario) {
  std::vector<std::int64_t> first = {0};
  for (const NodeInUse& node : nodes_in_use(scenario.cluster, static_cast<int>(scenario.gpus))) {
    first.push_back(first.back() + node.gpus);
  }
  return first;
}

std::vector<std::int64_t> ranks_of_node(const JsonReader& json, const std::vector<std::int64_t>& first) {
  const auto node = static_cast<std::size_t>(json.integer(0, static_cast<std::int64_t>(first.size()) - 2));
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(first[node + 1] - first[node]));
  std::iota(ranks.begin(), ranks.end(), first[node]);
  return ranks;
}

Straggler read_straggler(const JsonReader& json, const Scenario& scenario, const std::vector<std::int64_t>& first) {
  json.expect_keys({"ranks", "node", "slowdown"});
  const auto ranks = json.find("ranks");
  const auto node = json.find("node");
  if (ranks.has_value() == node.has_value()) {
    Place{json.file()}.fail(json.pointer(), "a straggler is some ranks or all of a node", json_text(json.value()),
                            R"({"ranks": "8-15", "slowdown": 1.2}, {"node": 3, "slowdown": 1.2})",
                            "give one of ranks and node");
  }
  Straggler straggler{.ranks = ranks ? read_ranks(*ranks, scenario) : ranks_of_node(*node, first)};
  if (node) {
    straggler.node = node->integer(0, scenario.gpus);
  }
  straggler.slowdown = json.at("slowdown").number(1.0, kMostSlowdown);
  return straggler;
}

void read_slow_nodes(const JsonReader& json, VariationOptions& variation) {
  json.expect_keys({"probability", "slowdown"});
  variation.slow_node_probability = json.at("probability").number(0.0, 1.0);
  if (const auto found = json.find("slowdown")) {
    const std::vector<JsonReader> bounds = found->elements();
    if (bounds.size() != 2) {
      found->fail("a slow node's slowdown lies between two bounds", "[least, most], as [1.05, 1.3]");
    }
    variation.slow_node_least = bounds[0].number(1.0, kMostSlowdown);
    variation.slow_node_most = bounds[1].number(variation.slow_node_least, kMostSlowdown);
  }
}

}  // namespace

VariationOptions read_variation(const JsonReader& json, const Scenario& scenario) {
  json.expect_keys({"kernel_jitter", "gpu_spread", "network_jitter", "slow_nodes", "stragglers"});
  const auto deviation = [&json](std::string_view key, double most) {
    const auto found = json.find(key);
    return found ? found->number(0.0, most) : 0.0;
  };
  VariationOptions variation;
  variation.kernel_jitter = deviation("kernel_jitter", kMostJitter);
  variation.gpu_spread = deviation("gpu_spread", kMostSpread);
  variation.network_jitter = deviation("network_jitter", kMostJitter);
  if (const auto found = json.find("slow_nodes")) {
    read_slow_nodes(*found, variation);
  }
  if (const auto found = json.find("stragglers")) {
    const std::vector<std::int64_t> first = first_ranks(scenario);
    Effort named;
    for (const JsonReader& straggler : found->elements()) {
      variation.stragglers.push_back(read_straggler(straggler, scenario, first));
      named.events += static_cast<double>(variation.stragglers.back().ranks.size());
      require_effort(named, {.file = json.file(),
                             .pointer = found->pointer(),
                             .remedy = "name every rank once, or use gpu_spread or slow_nodes"});
    }
  }
  return variation;
}

Json variation_json(const VariationOptions& variation) {
  Json out = {{"kernel_jitter", variation.kernel_jitter},
              {"gpu_spread", variation.gpu_spread},
              {"network_jitter", variation.network_jitter},
              {"slow_nodes",
               {{"probability", variation.slow_node_probability},
                {"slowdown", {variation.slow_node_least, variation.slow_node_most}}}},
              {"stragglers", Json::array()}};
  for (const Straggler& straggler : variation.stragglers) {
    Json one = straggler.node ? Json{{"node", *straggler.node}} : Json{{"ranks", straggler.ranks}};
    one["slowdown"] = straggler.slowdown;
    out["stragglers"].push_back(std::move(one));
  }
  return out;
}

std::string variation_text(const VariationOptions& variation) {
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : "  ") + part; };
  const auto spread = [&add](std::string_view name, double deviation) {
    if (deviation > 0.0) {
      add(fmt::format("{} {:.3g} %", name, deviation * 100.0));
    }
  };
  spread("kernels", variation.kernel_jitter);
  spread("GPUs", variation.gpu_spread);
  spread("network", variation.network_jitter);
  if (variation.slow_node_probability > 0.0) {
    add(fmt::format("slow nodes {:.3g} % by {:.3g} to {:.3g}", variation.slow_node_probability * 100.0,
                    variation.slow_node_least, variation.slow_node_most));
  }
  constexpr std::size_t kShown = 8;
  for (std::size_t i = 0; i < std::min(kShown, variation.stragglers.size()); ++i) {
    const Straggler& straggler = variation.stragglers[i];
    const std::string who = straggler.node                ? fmt::format("node {}", *straggler.node)
                            : straggler.ranks.size() == 1 ? fmt::format("rank {}", straggler.ranks.front())
                                                          : fmt::format("{} ranks", straggler.ranks.size());
    add(fmt::format("{} by {:.3g}", who, straggler.slowdown));
  }
  if (variation.stragglers.size() > kShown) {
    add(fmt::format("and {} more", variation.stragglers.size() - kShown));
  }
  return out;
}

}  // namespace trainyard
