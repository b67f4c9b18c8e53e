#include <doctest/doctest.h>

#include "validation/score/score_guard.hpp"

namespace trainyard::test_score_guard {
namespace {

Json scores(double p90, double bias, double fit_accuracy, int simulated) {
  const Json score = {{"name", "table"}, {"simulated", simulated}, {"p90_abs_error", p90},
                      {"bias", bias},    {"regret_max", nullptr},  {"fit_accuracy", fit_accuracy}};
  return {{"sections", {{"runs", Json::array({score})}, {"overall", Json::array({score})}}}};
}

const Json kCommitted = scores(0.10, -0.02, 0.9, 10);

std::size_t worse_than_committed(const Json& fresh) {
  // Every figure stands in two sections.
  return worse_scores(kCommitted, fresh, false).size() / 2;
}

}  // namespace

TEST_CASE("scores that stay, get better or move by less than half a point are no loss") {
  CHECK(worse_than_committed(kCommitted) == 0);
  CHECK(worse_than_committed(scores(0.104, -0.024, 0.896, 10)) == 0);
  CHECK(worse_than_committed(scores(0.05, 0.0, 1.0, 12)) == 0);
}

TEST_CASE("an error that grows by more than half a point is a loss, and so is a bias of either sign") {
  CHECK(worse_than_committed(scores(0.106, -0.02, 0.9, 10)) == 1);
  CHECK(worse_than_committed(scores(0.10, -0.026, 0.9, 10)) == 1);
  CHECK(worse_than_committed(scores(0.10, 0.026, 0.9, 10)) == 1);
  CHECK(worse_than_committed(scores(0.10, 0.02, 0.9, 10)) == 0);  // as far from zero as before
  CHECK(worse_than_committed(scores(0.10, -0.02, 0.894, 10)) == 1);
}

TEST_CASE("rows, scores and sections that are gone are a loss") {
  CHECK(worse_than_committed(scores(0.10, -0.02, 0.9, 9)) == 1);
  Json without = kCommitted;
  without["sections"]["runs"] = Json::array();
  CHECK(worse_scores(kCommitted, without, false).size() == 1);
  without["sections"].erase("runs");
  CHECK(worse_scores(kCommitted, without, false).size() == 1);
  Json silent = kCommitted;
  silent["sections"]["runs"][0]["p90_abs_error"] = nullptr;
  CHECK(worse_scores(kCommitted, silent, false).size() == 1);
}

TEST_CASE("of a part of the tables only what was run is compared") {
  Json part = scores(0.2, 0.0, 0.9, 10);
  CHECK(worse_scores(kCommitted, part, true).size() == 1);  // the overall section does not count
  part["sections"].erase("runs");
  CHECK(worse_scores(kCommitted, part, true).empty());
  // A sum over more tables than were run is no loss, fewer predictions of the same rows are one.
  Json committed = kCommitted;
  Json fewer = kCommitted;
  for (Json* one : {&committed, &fewer}) {
    for (auto& [section, scores] : (*one)["sections"].items()) {
      for (Json& score : scores) {
        score["rows"] = 100;
      }
    }
  }
  for (auto& [section, scores] : fewer["sections"].items()) {
    for (Json& score : scores) {
      score["simulated"] = 0;
      score["rows"] = 50;
    }
  }
  CHECK(worse_scores(committed, fewer, true).empty());
  CHECK_FALSE(worse_scores(committed, fewer, false).empty());
}

}  // namespace trainyard::test_score_guard
