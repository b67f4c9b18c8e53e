// Jobs that wait for their samples in all engines, folded, and with few micro-batches for many.
#include <fmt/format.h>

#include <cmath>

#include "sim/predict/answer.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_input_engines {

namespace {

const std::vector<std::string>& inputs() {
  static const std::vector<std::string> kInputs = {
      R"({"decode": "20 ms"})", R"({"decode": "200 ms", "prefetch": 1})", R"({"decode": "20 ms", "prefetch": 0})",
      R"({"decode": "100 us", "pinned": false})",
      R"({"storage": {"kind": "memory", "bandwidth": "100 MB/s"}, "sample_bytes": "1 MB", "tensor_bytes": "10 MB"})"};
  return kInputs;
}

}  // namespace

TEST_CASE("flows, SimGrid and the longest path agree on jobs with an input") {
  const std::vector<std::string> jobs = {
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 1, "training": {"global_batch": 4}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 8, "layout": {"tp": 2, "pp": 2},
          "training": {"global_batch": 16}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 4, "layout": {"pp": 4},
          "training": {"global_batch": 8, "schedule": "zb-v"}})"};
  for (const std::string& text : jobs) {
    for (const std::string& input : inputs()) {
      CAPTURE(text);
      CAPTURE(input);
      std::vector<Report> reports;
      for (const char* network : {"flow", "simgrid", "analytic"}) {
        reports.push_back(predict(job(text, {fmt::format("network={}", network), "input=" + input})).report);
      }
      const double step = reports.front().step.value;
      CHECK(std::abs(reports[1].step.value - step) <= 1e-9 * step);
      CHECK(std::abs(reports[2].step.value - step) <= 0.02 * step);
      for (const Report& report : reports) {
        CHECK(report.breakdown.total().value == doctest::Approx(report.step.value).epsilon(1e-9));
      }
      for (Seconds Breakdown::*part : kBreakdownParts) {
        CHECK(std::abs((reports[1].breakdown.*part - reports[0].breakdown.*part).value) <= 1e-9 * step);
      }
      CHECK(reports.front().ranks_simulated <= 4);  // one of every stage
    }
  }
}

TEST_CASE("steps of many micro-batches follow from few where samples are awaited") {
  const char* const text = R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 4, "layout": {"pp": 2},
      "training": {"micro_batch": 8, "global_batch": 8192}})";
  for (const std::string input : {R"({"decode": "1 us", "prefetch": 4})", R"({"decode": "1 s", "prefetch": 2})",
                                  R"({"decode": "5 ms", "prefetch": 0})"}) {
    CAPTURE(input);
    const Scenario scenario = job(text, {"input=" + input});
    const Report whole = predict(scenario).report;
    const Report few = answer(scenario).report;
    CHECK(few.micro_batches_simulated < few.micro_batches);
    CHECK(few.step.value == doctest::Approx(whole.step.value).epsilon(1e-9));
    CHECK(few.breakdown.input.value == doctest::Approx(whole.breakdown.input.value).epsilon(1e-6));
    CHECK(few.input->waited.value == doctest::Approx(whole.input->waited.value).epsilon(1e-6));
  }
}

}  // namespace test_input_engines
