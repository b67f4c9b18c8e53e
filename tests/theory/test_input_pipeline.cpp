// Laws of the input pipeline: what is fast enough changes nothing, what is not sets the pace of the step.
#include <fmt/format.h>
#include <rapidcheck.h>

#include <cmath>

#include "sim/program/input_times.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_input_pipeline {

namespace {

const std::string kFree = R"({"storage": "memory", "decode": "none", "tensor_bytes": "0 B"})";

Scenario one_gpu(std::int64_t micro_batches, const std::string& input = "") {
  const std::string text = fmt::format(R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "network": "analytic",
      "training": {{"seq_len": 128, "global_batch": {}}}}})",
                                       micro_batches);
  return input.empty() ? job(text) : job(text, {"input=" + input});
}

// The step of so many micro-batches of one sample each that takes so long to decode, by `workers`.
struct Decoding {
  double milliseconds = 0.0;
  std::int64_t micro_batches = 1;
  std::int64_t workers = 1;
  std::int64_t prefetch = 1;
};
Report decoding(const Decoding& what) {
  const std::string input = fmt::format(R"({{"storage": "memory", "decode": "{} ms", "workers": {}, "prefetch": {}}})",
                                        what.milliseconds, what.workers, what.prefetch);
  return predict(one_gpu(what.micro_batches, input)).report;
}

Decoding any_decoding() {
  return {.milliseconds = 0.1 * *rc::gen::inRange(1, 1000),
          .micro_batches = *rc::gen::inRange<std::int64_t>(1, 9),
          .workers = *rc::gen::inRange<std::int64_t>(1, 17),
          .prefetch = *rc::gen::inRange<std::int64_t>(0, 9)};
}

}  // namespace

TEST_CASE("an input pipeline of infinite bandwidth changes nothing") {
  for (const std::string& text : small_jobs()) {
    for (const char* network : {"network=flow", "network=analytic"}) {
      for (const char* prefetch : {"input.prefetch=0", "input.prefetch=3"}) {
        CAPTURE(text);
        const Report plain = predict(job(text, {network})).report;
        const Report fed = predict(job(text, {network, "input=" + kFree, prefetch})).report;
        CHECK(fed.step == plain.step);
        CHECK(fed.events == plain.events);
        CHECK(fed.memory.peak == plain.memory.peak);
        for (Seconds Breakdown::*part : kBreakdownParts) {
          CHECK(fed.breakdown.*part == plain.breakdown.*part);
        }
      }
    }
  }
}

TEST_CASE("copies ahead of their use cost what issuing them costs") {
  // Without launches copies hide behind kernels that take much longer.
  for (const std::int64_t micro_batches : {1, 8}) {
    Scenario plain = one_gpu(micro_batches);
    Scenario fed = one_gpu(micro_batches, R"({"storage": "memory", "decode": "none"})");
    plain.framework.host = {};
    fed.framework.host = {};
    const double step = predict(plain).report.step.value;
    CHECK(predict(fed).report.step.value == doctest::Approx(step).epsilon(1e-4));
    CHECK(predict(fed).report.breakdown.input.value == doctest::Approx(0.0));
  }
}

TEST_CASE("a starved GPU's step is the time in which its samples are made") {
  rc::check("the step is the pace of the slower stage times the micro-batches", [] {
    Decoding what = any_decoding();
    what.milliseconds += 5000.0;  // with sixteen workers ten times what a GPU needs for a micro-batch
    what.prefetch += 1;
    const Report report = decoding(what);
    const double made =
        what.milliseconds * 1e-3 * static_cast<double>(what.micro_batches) / static_cast<double>(what.workers);
    RC_ASSERT(std::abs(report.step.value - made) <= 1e-9 * made);
    RC_ASSERT(report.input->binds == "decode");
  });
  // Storage starves it likewise, and stages of the pipeline run beside one another.
  const Report both = predict(one_gpu(4, R"({"decode": "300 ms", "workers": 1, "prefetch": 2, "sample_bytes": "1 MB",
      "storage": {"bandwidth": "2 MB/s"}})"))
                          .report;
  CHECK(both.step.value == doctest::Approx(4.0 * 0.5));
  CHECK(both.input->binds == "storage");
}

TEST_CASE("without prefetch samples are read, decoded and copied before the step that needs them") {
  const double step = predict(one_gpu(1)).report.step.value;
  const Report report = predict(one_gpu(1, R"({"decode": "30 ms", "workers": 1, "prefetch": 0, "tensor_bytes": "0 B",
      "sample_bytes": "1 MB", "storage": {"bandwidth": "20 MB/s"}})"))
                            .report;
  CHECK(report.step.value == doctest::Approx(step + 0.03 + 0.05).epsilon(1e-9));
  CHECK(report.breakdown.input.value == doctest::Approx(0.08));
  // Of several micro-batches each waits for its own; the host, who waits too, may have lost its lead.
  const double four = predict(one_gpu(4)).report.step.value;
  const double serial = decoding({.milliseconds = 50.0, .micro_batches = 4, .prefetch = 0}).step.value;
  CHECK(serial >= four + 4.0 * 0.05);
  CHECK(serial == doctest::Approx(four + 4.0 * 0.05).epsilon(0.2));
}

TEST_CASE("more workers and a deeper queue are never slower, and every breakdown sums to its step") {
  rc::check("monotone", [] {
    const Decoding what = any_decoding();
    const Report report = decoding(what);
    const double rounding = 1e-9 * report.step.value;
    RC_ASSERT(std::abs(report.breakdown.total().value - report.step.value) <= rounding);
    Decoding better = what;
    ++better.workers;
    RC_ASSERT(decoding(better).step.value <= report.step.value + rounding);
    better = what;
    ++better.prefetch;
    RC_ASSERT(decoding(better).step.value <= report.step.value + rounding);
    RC_ASSERT(report.step.value >= predict(one_gpu(what.micro_batches)).report.step.value - rounding);
  });
}

TEST_CASE("with what the report asks for nobody waits any more") {
  const auto waits = [](const Report& report) { return report.input->waited.value; };
  const Decoding slow{.milliseconds = 200.0, .micro_batches = 4, .workers = 1, .prefetch = 4};
  const Report starved = decoding(slow);
  REQUIRE(starved.input->needs.size() == 1);
  CHECK(starved.input->needs.front().key == "workers");
  Decoding enough = slow;
  enough.workers = static_cast<std::int64_t>(starved.input->needs.front().value);
  CHECK(enough.workers > 1);
  CHECK(waits(starved) > 0.1);
  CHECK(waits(decoding(enough)) == 0.0);
  enough.workers /= 2;
  CHECK(waits(decoding(enough)) > 0.0);
  const auto reading = [](double rate) {
    return predict(one_gpu(1, fmt::format(R"({{"decode": "none", "sample_bytes": "1 MB",
        "storage": {{"kind": "memory", "node_bandwidth": "{} B/s"}}}})",
                                          rate)))
        .report;
  };
  const Report slow_disk = reading(1e6);
  REQUIRE(slow_disk.input->needs.size() == 1);
  CHECK(slow_disk.input->needs.front().key == "storage.node_bandwidth");
  CHECK(waits(reading(1e6)) ==
        doctest::Approx(slow_disk.step.value - predict(one_gpu(1)).report.step.value).epsilon(0.01));
  CHECK(waits(reading(slow_disk.input->needs.front().value * 1.000001)) == 0.0);
  CHECK(waits(reading(slow_disk.input->needs.front().value * 0.99)) > 0.0);
}

}  // namespace test_input_pipeline
