#include "validation/score/score_guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>

namespace trainyard {
namespace {

constexpr std::int64_t kMostScored = 1'000'000'000;
constexpr double kLargestFigure = 1e6;  // of an error, as a fraction
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

void check_scores(const Json& document, const std::string& file) {
  const JsonReader root(document, file);
  root.at("network").text();
  const auto sections = root.at("sections").members();
  if (sections.empty()) {
    root.at("sections").fail("there are no scores", "sections as validate all --write makes them");
  }
  for (const auto& [name, section] : sections) {
    const std::vector<JsonReader> scores = section.elements();
    if (scores.empty()) {
      section.fail("the section has no scores", "a list of scores");
    }
    for (const JsonReader& score : scores) {
      score.at("name").text();
      score.at("simulated").integer(0, kMostScored);
      std::size_t figures = 0;
      for (const auto& keys : {std::span<const std::string_view>(kSmallerIsBetter), {kLargerIsBetter}}) {
        for (const std::string_view key : keys) {
          if (const auto found = score.find(key)) {
            found->number(-kLargestFigure, kLargestFigure);
            ++figures;
          }
        }
      }
      if (figures == 0 && score.at("simulated").integer(0, kMostScored) > 0) {
        score.fail("the score has no figures",
                   join_names(std::vector<std::string>(kSmallerIsBetter.begin(), kSmallerIsBetter.end())));
      }
    }
  }
}

std::vector<std::string> scores_without_match(const Json& committed, const Json& fresh, bool partial) {
  std::vector<std::string> missing;
  for (const auto& [section, scores] : fresh.at("sections").items()) {
    if (partial && section == kOverallSection) {
      continue;
    }
    const auto known = committed.at("sections").find(section);
    for (const Json& score : scores) {
      const std::string name = fmt::format("{}, {}", section, score.at("name").get<std::string>());
      const auto is_same = [&](const Json& one) { return one.at("name") == score.at("name"); };
      const bool has_section = known != committed.at("sections").end();
      const auto same = has_section ? std::find_if(known->begin(), known->end(), is_same) : scores.end();
      if (!has_section || same == known->end()) {
        missing.push_back(name);
        continue;
      }
      for (const auto& keys : {std::span<const std::string_view>(kSmallerIsBetter), {kLargerIsBetter}}) {
        for (const std::string_view key : keys) {
          if (figure(score, key) && !figure(*same, key)) {
            missing.push_back(fmt::format("{}: {}", name, key));
          }
        }
      }
    }
  }
  return missing;
}

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
      // A sum over tables of which some were not run is of fewer rows, and says nothing of the rest.
      const bool is_part = partial && same != found->end() && same->value("rows", 0) < score.value("rows", 0);
      if (is_part) {
        continue;
      }
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
