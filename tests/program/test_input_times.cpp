#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "sim/program/input_times.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_input_times {

namespace {

// Three nodes of eight A100, the last one half used.
Scenario twenty_gpus(const char* layout, const char* input) {
  Json document = parse_json(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 20})", "job.json");
  document["layout"] = parse_json(layout, "layout");
  document["training"]["micro_batch"] = 3;
  document["input"] = parse_json(input, "input");
  return read_scenario(document, "job.json");
}

InputTimes times(const Scenario& scenario) {
  return input_times(scenario, make_layout(scenario));
}

constexpr const char* kSlow = R"({"sample_bytes": "1 MB", "decode": "8 ms", "workers": 4,
    "storage": {"kind": "memory", "node_bandwidth": "1 GB/s", "bandwidth": "2 GB/s", "latency": "5 ms",
                "requests": 6}})";

}  // namespace

TEST_CASE("the replicas of a node share its storage, all replicas the whole of it") {
  const InputTimes plain = times(twenty_gpus("{}", kSlow));
  CHECK(plain.of_node.value == doctest::Approx(8.0 * 3e6 / 1e9));   // 8 ranks, 3 samples of 1 MB each
  CHECK(plain.of_all.value == doctest::Approx(20.0 * 3e6 / 2e9));   // 20 ranks
  CHECK(plain.latency.value == doctest::Approx(3.0 * 5e-3 / 6.0));  // 3 requests, 6 at once
  CHECK(plain.decode.value == doctest::Approx(3.0 * 8e-3 / 4.0));
  CHECK(plain.read() == plain.of_all);
  CHECK(plain.pace() == plain.of_all);
}

TEST_CASE("ranks that work on the same samples read them once for each node") {
  // Groups of four ranks: two replicas in a whole node, five in all. Each rank decodes for itself.
  const InputTimes tensor = times(twenty_gpus(R"({"tp": 4})", kSlow));
  CHECK(tensor.of_node.value == doctest::Approx(2.0 * 3e6 / 1e9));
  CHECK(tensor.of_all.value == doctest::Approx(5.0 * 3e6 / 2e9));
  CHECK(tensor.decode.value == doctest::Approx(3.0 * 8e-3 / 4.0));
  // Five stages of four replicas stand in ranks 0-3, 4-7 and so on: the first is on node 0, the last on node 2, and
  // between them nobody reads.
  const InputTimes stages = times(twenty_gpus(R"({"pp": 5, "layers_per_stage": [4, 5, 5, 5, 5]})", kSlow));
  CHECK(stages.of_node.value == doctest::Approx(4.0 * 3e6 / 1e9));
  CHECK(stages.of_all.value == doctest::Approx(8.0 * 3e6 / 2e9));
}

TEST_CASE("storage without limits, and samples that need no decoding, take no time") {
  const InputTimes none = times(twenty_gpus("{}", R"({"storage": "memory", "decode": "none"})"));
  CHECK(none.pace() == Seconds{});
}

TEST_CASE("twice of everything halves every time") {
  const Scenario base = twenty_gpus("{}", kSlow);
  const Layout layout = make_layout(base);
  rc::check("times are inverse to what they are limited by", [&] {
    Scenario one = base;
    InputOptions& input = *one.input;
    input.workers = *rc::gen::inRange<std::int64_t>(1, 1000);
    input.storage.requests = *rc::gen::inRange<std::int64_t>(1, 1000);
    input.storage.node_bandwidth = BytesPerSecond{1e6 * *rc::gen::inRange(1, 1000000)};
    input.storage.bandwidth = BytesPerSecond{1e6 * *rc::gen::inRange(1, 1000000)};
    const InputTimes slow = input_times(one, layout);
    input.workers *= 2;
    input.storage.requests *= 2;
    *input.storage.node_bandwidth = *input.storage.node_bandwidth * 2.0;
    *input.storage.bandwidth = *input.storage.bandwidth * 2.0;
    const InputTimes fast = input_times(one, layout);
    RC_ASSERT(fast.decode * 2.0 == slow.decode);
    RC_ASSERT(fast.latency * 2.0 == slow.latency);
    RC_ASSERT(fast.of_node * 2.0 == slow.of_node);
    RC_ASSERT(fast.of_all * 2.0 == slow.of_all);
    RC_ASSERT(fast.pace() * 2.0 == slow.pace());
  });
}

}  // namespace test_input_times
