#include <doctest/doctest.h>

#include <string>

#include "sim/report/comparison.hpp"

using namespace trainyard;

namespace test_comparison {

namespace {

Json result_of(double compute, double bubble, double weights, int pp) {
  Json out;
  out["step_time_s"] = compute + bubble;
  out["tokens_per_s_per_gpu"] = 100.0;
  out["mfu"] = 0.4;
  out["uncertainty"] = {{"low_s", 0.8 * (compute + bubble)}, {"high_s", nullptr}, {"basis", "ten measured runs"}};
  out["breakdown_s"] = {{"compute", compute}, {"bubble", bubble}};
  out["memory"] = {{"peak_bytes", weights},
                   {"fits", true},
                   {"per_stage",
                    {{{"total_bytes", weights / 2}, {"terms_bytes", {{"parameters", weights / 2}}}},
                     {{"total_bytes", weights}, {"terms_bytes", {{"parameters", weights}}}}}}};
  out["critical_path"] = {{{"rank_class", "stage 0"}, {"operation", "forward"}, {"time_s", compute / 2}, {"count", 1}},
                          {{"rank_class", "stage 1"}, {"operation", "forward"}, {"time_s", compute / 2}, {"count", 1}},
                          {{"rank_class", "stage 1"}, {"operation", "receive"}, {"time_s", bubble}, {"count", 1}}};
  out["scenario"] = {{"model", "gpt2"}, {"layout", {{"pp", pp}}}};
  return out;
}

double sum_of(const std::vector<Difference>& differences) {
  double sum = 0.0;
  for (const Difference& one : differences) {
    sum += one.difference();
  }
  return sum;
}

}  // namespace

TEST_CASE("every slower run is explained against the fastest, whichever comes first") {
  const Comparison comparison =
      compare_runs({{"slow", result_of(1.0, 0.5, 8.0, 4)}, {"fast", result_of(1.1, 0.1, 16.0, 2)}});
  CHECK(comparison.fastest == 1);
  REQUIRE(comparison.explanations.size() == 1);
  const Explanation& why = comparison.explanations.front();
  CHECK(why.run == 0);
  CHECK(why.slower_by.value == doctest::Approx(0.3));
  REQUIRE(why.scenario.size() == 1);
  CHECK(why.scenario.front().pointer == "/layout/pp");
  CHECK(why.scenario.front().fastest == "2");
  CHECK(why.scenario.front().other == "4");
}

TEST_CASE("differences are ranked by size and sum to the difference of the steps") {
  const Comparison comparison =
      compare_runs({{"fast", result_of(1.1, 0.1, 16.0, 2)}, {"slow", result_of(1.0, 0.5, 8.0, 4)}});
  const Explanation& why = comparison.explanations.front();
  REQUIRE(why.breakdown.size() == 2);
  CHECK(why.breakdown.front().name == "bubble");
  CHECK(why.breakdown.back().difference() == doctest::Approx(-0.1));
  CHECK(sum_of(why.breakdown) == doctest::Approx(why.slower_by.value));
  // An operation counts over all ranks of the path: stages of different layouts do not pair up.
  REQUIRE(why.critical_path.size() == 2);
  CHECK(why.critical_path.front().name == "receive");
  CHECK(why.critical_path.back().fastest == doctest::Approx(1.1));
  CHECK(sum_of(why.critical_path) == doctest::Approx(why.slower_by.value));
  REQUIRE(why.memory.size() == 1);
  CHECK(why.memory.front().difference() == doctest::Approx(-8.0));
}

TEST_CASE("what does not differ is left out") {
  const Comparison comparison = compare_runs({{"a", result_of(1.0, 0.5, 8.0, 4)}, {"b", result_of(1.0, 0.5, 8.0, 4)}});
  const Explanation& why = comparison.explanations.front();
  CHECK(why.slower_by.value == 0.0);
  CHECK(why.scenario.empty());
  CHECK(why.breakdown.empty());
  CHECK(why.critical_path.empty());
  CHECK(why.memory.empty());
  const std::string text = comparison_text(comparison);
  CHECK(text.find("\na and b are equally fast\n") != std::string::npos);
  CHECK(text.find("operations of the critical path") == std::string::npos);
}

TEST_CASE("the text names both runs, the seconds between them and the reasons") {
  const std::string text =
      comparison_text(compare_runs({{"deep", result_of(1.0, 0.5, 8.0, 4)}, {"flat", result_of(1.1, 0.1, 16.0, 2)}}));
  CAPTURE(text);
  CHECK(text.find("why flat is faster than deep: 300 ms of 1.5 s (20.0 %)") != std::string::npos);
  // 80 % of 1.5 s and of 1.2 s; what both bands rest on is said once.
  CHECK(text.find("1.2 s") != std::string::npos);
  CHECK(text.find("960 ms") != std::string::npos);
  CHECK(text.find("ten measured runs") == text.rfind("ten measured runs"));
  CHECK(text.find("ten measured runs") != std::string::npos);
  CHECK(text.find("/layout/pp is 2 instead of 4") != std::string::npos);
  CHECK(text.find("bubble") < text.find("operations of the critical path"));
}

}  // namespace test_comparison
