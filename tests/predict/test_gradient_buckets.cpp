// When data-parallel reductions start: full buckets, what is ready at the end of a cycle, and the coordinator's round.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/predict/predict.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_gradient_buckets {

namespace {

Scenario job(const std::string& options, int gpus = 16) {
  const std::string text = fmt::format(
      R"({{"model": "bert-base", "cluster": "v100-edr", "gpus": {}, "framework": "ddp",
          "training": {{"seq_len": 128, "micro_batch": 8, "data_parallel": {{"strategy": "ddp"{}}}}}}})",
      gpus, options);
  return read_scenario(parse_json(text, "job.json"), "job.json");
}

struct Reductions {
  int count = 0;
  double bytes = 0.0;
};
Reductions reductions(const std::string& options) {
  const Scenario scenario = job(options);
  const Program program = build_program(scenario, make_layout(scenario), *calibrated_kernel_costs(scenario.gpu));
  const RankProgram& rank = program.classes.front();
  Reductions out;
  for (const Operation& operation : rank.operations) {
    for (std::uint32_t i = 0; operation.category == Category::kData && i < operation.communications; ++i) {
      const auto index = rank.communications[operation.first_communication + i].index();
      out.bytes += program.communications[index].size.value;
      ++out.count;
    }
  }
  return out;
}

double step(const std::string& options, int gpus = 16) {
  return predict(job(options, gpus)).report.step.value;
}

}  // namespace

TEST_CASE("buckets of what is ready are those of the units, and move the same bytes") {
  const Reductions full = reductions(R"(, "first_bucket": "1 GB", "bucket": "1 GB")");
  const Reductions ready = reductions(R"(, "first_bucket": "1 GB", "bucket": "1 GB", "fill": "ready")");
  CHECK(full.count == 1);
  CHECK(ready.count == 14);  // head, twelve layers, embedding
  CHECK(ready.bytes == doctest::Approx(full.bytes));
}

TEST_CASE("a cycle delays a reduction by its half, the coordinator by every member of the group") {
  const std::string one = R"(, "first_bucket": "1 GB", "bucket": "1 GB")";
  // The launch of the reduction, a few microseconds of the host, then runs beside the wait.
  constexpr double kLaunch = 20e-6;
  const auto is = [](double waited, double expected) { return waited <= expected && waited >= expected - kLaunch; };
  const double at_once = step(one);
  CHECK(is(step(one + R"(, "cycle": "10 ms")") - at_once, 5e-3));
  CHECK(is(step(one + R"(, "negotiation": "100 us")") - at_once, 16 * 100e-6));
  const double two_nodes = step(one + R"(, "negotiation": "100 us")", 32) - step(one, 32);
  CHECK(is(two_nodes, 32 * 100e-6));
}

TEST_CASE("waiting for a cycle beside the backward pass is no computation, and the parts still sum to the step") {
  const Report plain = predict(job("")).report;
  const Report waits = predict(job(R"(, "fill": "ready", "cycle": "5 ms")")).report;
  CHECK(waits.breakdown.compute.value == doctest::Approx(plain.breakdown.compute.value).epsilon(0.02));
  double sum = 0.0;
  for (const Breakdown::Part& part : waits.breakdown.parts()) {
    sum += part.time.value;
  }
  CHECK(sum == doctest::Approx(waits.step.value));
}

}  // namespace test_gradient_buckets
