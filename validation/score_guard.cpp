#include "validation/score_guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 7> kSmallerIsBetter = {
    "median_abs_error", "mean_abs_error", "p90_abs_error",          "bias",
    "regret_median",    "regret_max",     "memory_median_abs_error"};
constexpr std::array<std::string_view, 4> kLargerIsBetter = {"spearman", "fit_accuracy", "oom_precision", "oom_recall"};

std::optional<double> figure(const Json& score, std::string_view key) {
  const auto found = score.find(key);
  return found == score.end() || found->is_null() ? std::nullopt : std::optional(found->get<double>());
}

void compare(const std::string& name, const Json& committed, const Json& fresh, std::vector<std::string>& worse) {
  const auto check = [&](std::string_view key, double direction) {
    const auto before = figure(committed, key);
    const auto now = figure(fresh, key);
    if (!before) {
      return;
    }
    if (!now) {
      worse.push_back(fmt::format("{}: {} was {:.4f} and is not there any more", name, key, *before));
      return;
    }
    const bool is_bias = key == "bias";
    const double change = is_bias ? std::abs(*now) - std::abs(*before) : direction * (*now - *before);
    if (change > kScoreTolerance) {
      worse.push_back(fmt::format("{}: {} was {:.4f} and is {:.4f}", name, key, *before, *now));
    }
  };
  for (const std::string_view key : kSmallerIsBetter) {
    check(key, 1.0);
  }
  for (const std::string_view key : kLargerIsBetter) {
    check(key, -1.0);
  }
  const auto before = committed.at("simulated").get<std::int64_t>();
  const auto now = fresh.at("simulated").get<std::int64_t>();
  if (now < before) {
    worse.push_back(fmt::format("{}: {} rows were scored and {} are", name, before, now));
  }
}

}  // namespace

std::vector<std::string> worse_scores(const Json& committed, const Json& fresh, bool partial) {
  std::vector<std::string> worse;
  for (const auto& [section, scores] : committed.at("sections").items()) {
    if (partial && section == kOverallSection) {
      continue;
    }
    const auto found = fresh.at("sections").find(section);
    if (found == fresh.at("sections").end()) {
      if (!partial) {
        worse.push_back(fmt::format("{}: the whole section is gone", section));
      }
      continue;
    }
    for (const Json& score : scores) {
      const std::string name = score.at("name").get<std::string>();
      const auto same =
          std::find_if(found->begin(), found->end(), [&](const Json& one) { return one.at("name") == name; });
      if (same != found->end()) {
        compare(fmt::format("{}, {}", section, name), score, *same, worse);
      } else if (!partial) {
        worse.push_back(fmt::format("{}, {}: the score is gone", section, name));
      }
    }
  }
  return worse;
}

}  // namespace trainyard
