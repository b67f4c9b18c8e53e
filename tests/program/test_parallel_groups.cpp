// Context and expert parallelism in the program: who meets whom, and with how many bytes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_parallel_groups {

namespace {

struct Built {
  Scenario scenario;
  Layout layout;
  Program program;
};

Built build(const std::string& text) {
  const Json document = parse_json(text, "job.json");
  Scenario scenario = read_scenario(document, "job.json");
  Layout layout = make_layout(scenario);
  Program program = build_program(scenario, layout, *calibrated_kernel_costs(scenario.gpu));
  return {std::move(scenario), std::move(layout), std::move(program)};
}

// Communications that the operations of a category of the first class call, with how often.
std::map<std::int32_t, int> calls_of(const Program& program, Category category) {
  std::map<std::int32_t, int> calls;
  const RankProgram& rank = program.classes.front();
  for (const Operation& operation : rank.operations) {
    for (std::uint32_t i = 0; i < operation.communications && operation.category == category; ++i) {
      ++calls[rank.communications[operation.first_communication + i].value];
    }
  }
  return calls;
}

const Communication& communication(const Program& program, std::int32_t id) {
  return program.communications[static_cast<std::size_t>(id)];
}

std::string long_context(const char* cp_type, int cp_inner) {
  return fmt::format(R"({{"model": "llama-3-8b", "cluster": "dgx-h100", "gpus": 16,
      "layout": {{"cp": 8, "dp": 2, "cp_type": "{}", "cp_inner": {}}},
      "training": {{"seq_len": 32768, "micro_batch": 1, "global_batch": 2, "recompute": "none"}}}})",
                     cp_type, cp_inner);
}

constexpr const char* kMixtral = R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 16,
    "layout": {"tp": 1, "pp": 1, "ep": 8, "dp": 16},
    "training": {"seq_len": 4096, "micro_batch": 1, "global_batch": 16, "experts": {"routing": "uniform"}}})";

}  // namespace

TEST_CASE("ring attention passes keys and values round the context group") {
  const Built job = build(long_context("ring", 1));
  const auto calls = calls_of(job.program, Category::kContext);
  REQUIRE_FALSE(calls.empty());
  int steps = 0;
  for (const auto& [id, count] : calls) {
    const Communication& step = communication(job.program, id);
    CHECK(step.op == CollectiveOp::kAllToAllV);
    REQUIRE(step.groups.size() == 2);
    CHECK(step.groups[0].size() == 8);
    CHECK(step.groups[1].front() == RankId{8});
    REQUIRE(step.transfers.size() == 8);
    CHECK(step.transfers[7].from == 7);
    CHECK(step.transfers[7].to == 0);
    // Keys and values of 4096 tokens, 8 heads of 128, in 16 bits.
    CHECK(step.transfers[0].bytes.value == doctest::Approx(2.0 * 4096 * 8 * 128 * 2));
    steps += count;
  }
  // Seven exchanges forward; backward the same and the gradients' seven.
  CHECK(steps == 32 * (7 + 7 + 7));
}

TEST_CASE("hierarchical context parallelism exchanges heads inside and rings outside") {
  const Built job = build(long_context("hierarchical", 4));
  std::set<CollectiveOp> ops;
  for (const auto& [id, count] : calls_of(job.program, Category::kContext)) {
    const Communication& one = communication(job.program, id);
    ops.insert(one.op);
    const bool ring = one.op == CollectiveOp::kAllToAllV;
    CHECK(one.groups.front().size() == (ring ? 2 : 4));
    CHECK(one.groups.front()[1] == (ring ? RankId{4} : RankId{1}));
  }
  CHECK(ops == std::set<CollectiveOp>{CollectiveOp::kAllToAll, CollectiveOp::kAllToAllV});
}

TEST_CASE("gradients are summed over context-parallel ranks too") {
  const Built job = build(long_context("ulysses", 1));
  const auto calls = calls_of(job.program, Category::kData);
  REQUIRE_FALSE(calls.empty());
  for (const auto& [id, count] : calls) {
    CHECK(communication(job.program, id).groups.front().size() == 16);
  }
}

TEST_CASE("experts are reduced where they are copied, everything else over all replicas") {
  const Built job = build(kMixtral);
  double dense = 0.0;
  double experts = 0.0;
  for (const auto& [id, count] : calls_of(job.program, Category::kData)) {
    const Communication& one = communication(job.program, id);
    const bool is_reduction = one.op == CollectiveOp::kReduceScatter || one.op == CollectiveOp::kAllReduce;
    if (is_reduction) {
      (one.groups.front().size() == 16 ? dense : experts) += one.size.value * count;
      CHECK((one.groups.front().size() == 16 || one.groups.front() == std::vector<RankId>{{0}, {8}}));
    }
  }
  const ParameterShare& share = job.layout.stage_shares.front();
  const double element = bytes_per_element(job.scenario.training.grad_dtype).value;
  CHECK(dense == doctest::Approx(static_cast<double>(share.shared) * element));
  CHECK(experts == doctest::Approx(static_cast<double>(share.experts) * element));
}

TEST_CASE("unequal routing makes a class of every expert-parallel rank") {
  const Built even = build(kMixtral);
  CHECK(even.program.classes.size() == 1);
  std::string text = kMixtral;
  text.replace(text.find("\"uniform\""), 9, R"({"counts": [9, 1, 1, 1, 1, 1, 1, 1]})");
  const Built skewed = build(text);
  REQUIRE(skewed.program.classes.size() == 8);
  CHECK(skewed.program.class_of[8] == skewed.program.class_of[0]);
  CHECK(skewed.program.class_of[1] != skewed.program.class_of[0]);
  const auto device_time = [&](std::size_t program_class) {
    double sum = 0.0;
    for (const Operation& operation : skewed.program.classes[program_class].operations) {
      sum += operation.run.device.value;
    }
    return sum;
  };
  CHECK(device_time(0) > 1.5 * device_time(1));
  // The exchange is over for all when the busiest rank has its tokens: 9/16 of all instead of 1/8.
  const auto dispatched = [](const Built& job) {
    double most = 0.0;
    for (const auto& [id, count] : calls_of(job.program, Category::kExpert)) {
      most = std::max(most, communication(job.program, id).size.value);
    }
    return most;
  };
  CHECK(dispatched(skewed) == doctest::Approx(4.5 * dispatched(even)));
}

}  // namespace test_parallel_groups
