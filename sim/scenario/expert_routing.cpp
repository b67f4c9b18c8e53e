#include "sim/scenario/expert_routing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

namespace trainyard {
namespace {

constexpr double kSteepestZipf = 4.0;
constexpr double kMostTokensOfExpert = 1e15;
constexpr double kMostCapacity = 1e6;

void read_counts(const JsonReader& json, std::int64_t experts, ExpertRouting& routing) {
  for (const JsonReader& count : json.elements()) {
    routing.counts.push_back(count.number(0.0, kMostTokensOfExpert));
  }
  if (static_cast<std::int64_t>(routing.counts.size()) != experts) {
    json.fail("there must be one token count per expert", fmt::format("{} counts", experts));
  }
  if (std::accumulate(routing.counts.begin(), routing.counts.end(), 0.0) <= 0.0) {
    json.fail("some expert must get tokens", "a count above zero");
  }
  routing.kind = RoutingKind::kCounts;
}

void read_routing(const JsonReader& json, std::int64_t experts, ExpertRouting& routing) {
  if (!json.value().is_object()) {
    if (json.text() != "uniform") {
      json.fail("unknown routing", R"("uniform", {"zipf": exponent} or {"counts": [...]})");
    }
    return;
  }
  json.expect_keys({"zipf", "counts"});
  if (json.has("zipf") == json.has("counts")) {
    json.fail("a routing is one distribution", R"({"zipf": exponent} or {"counts": [...]})");
  }
  if (const auto zipf = json.find("zipf")) {
    routing.kind = RoutingKind::kZipf;
    routing.exponent = zipf->number(0.0, kSteepestZipf);
  } else {
    read_counts(json.at("counts"), experts, routing);
  }
}

}  // namespace

ExpertRouting read_expert_routing(const JsonReader& json, std::int64_t experts) {
  json.expect_keys({"routing", "capacity_factor", "pad_to_capacity", "dispatcher"});
  ExpertRouting routing;
  if (const auto found = json.find("routing")) {
    read_routing(*found, experts, routing);
  }
  if (const auto found = json.find("capacity_factor")) {
    routing.capacity_factor = found->number(1e-3, kMostCapacity);
  }
  if (const auto found = json.find("pad_to_capacity")) {
    routing.padding = found->boolean() ? CapacityPadding::kOn : CapacityPadding::kOff;
    if (!routing.capacity_factor && routing.padding == CapacityPadding::kOn) {
      found->fail("there is no capacity to pad to", "false, or true beside a capacity_factor");
    }
  }
  if (const auto found = json.find("dispatcher")) {
    routing.dispatcher = found->choice(kTokenDispatcherNames);
  }
  return routing;
}

Json expert_routing_json(const ExpertRouting& routing) {
  Json out;
  switch (routing.kind) {
    case RoutingKind::kUniform:
      out["routing"] = "uniform";
      break;
    case RoutingKind::kZipf:
      out["routing"] = {{"zipf", routing.exponent}};
      break;
    case RoutingKind::kCounts:
      out["routing"] = {{"counts", routing.counts}};
      break;
  }
  if (routing.capacity_factor) {
    out["capacity_factor"] = *routing.capacity_factor;
    out["pad_to_capacity"] = routing.padding == CapacityPadding::kOn;
  }
  out["dispatcher"] = kTokenDispatcherNames.name_of(routing.dispatcher);
  return out;
}

std::vector<double> expert_shares(const ExpertRouting& routing, std::int64_t experts, std::uint64_t seed) {
  std::vector<double> shares(static_cast<std::size_t>(experts), 1.0);
  switch (routing.kind) {
    case RoutingKind::kUniform:
      break;
    case RoutingKind::kZipf: {
      for (std::size_t i = 0; i < shares.size(); ++i) {
        shares[i] = std::pow(static_cast<double>(i + 1), -routing.exponent);
      }
      // std::shuffle may differ between libraries; this does not.
      std::mt19937_64 random(seed);
      for (std::size_t i = shares.size(); i > 1; --i) {
        std::swap(shares[i - 1], shares[random() % i]);
      }
      break;
    }
    case RoutingKind::kCounts:
      shares = routing.counts;
      break;
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  const double most = routing.capacity_factor.value_or(sum) / static_cast<double>(experts);
  for (double& share : shares) {
    share = routing.capacity_factor ? std::min(share / sum, most) : share / sum;
  }
  return shares;
}

}  // namespace trainyard
