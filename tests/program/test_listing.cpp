#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/program/listing.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_listing {

namespace {

struct Listed {
  Scenario scenario;
  Layout layout;
  Program program;
  std::map<std::string, ListedPart> parts;
};

Listed listed(const Json& document) {
  const Scenario scenario = read_scenario(document, "job.json");
  const Layout layout = make_layout(scenario);
  const auto costs = calibrated_kernel_costs(scenario.gpu, kernel_options(scenario.framework));
  std::map<std::string, ListedPart> parts;
  for (const ListedPart& part : list_parts(scenario, layout.shard, *costs)) {
    parts.emplace(part.name, part);
  }
  return {scenario, layout, build_program(scenario, layout, *costs), std::move(parts)};
}

Seconds time_of(const OperatorListing& listing) {
  Seconds time{};
  for (const ListedOperator& one : listing) {
    time += one.time;
  }
  return time;
}

// What the kernels of the passes of one stage take by the listing: every chunk's parts, forward and backward, once for
// each micro-batch.
Seconds passes_by_listing(const Listed& job, std::size_t stage) {
  Seconds time{};
  const auto add = [&](const std::string& name, std::int64_t count) {
    const ListedPart& part = job.parts.at(name);
    time += (time_of(part.forward) + time_of(part.recompute) + time_of(part.backward)) * static_cast<double>(count);
  };
  for (const Chunk& chunk : job.layout.stages[stage].chunks) {
    add("embedding", chunk.embedding == Holds::kYes ? 1 : 0);
    add("head", chunk.head == Holds::kYes ? 1 : 0);
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      add(part_name(job.scenario.model, layer_kind(job.scenario.model, chunk.first_layer + layer)), 1);
    }
  }
  return time * static_cast<double>(job.scenario.micro_batches());
}

Seconds passes_of_program(const RankProgram& program) {
  Seconds time{};
  for (const Operation& operation : program.operations) {
    if (operation.kind == OperationKind::kKernels && operation.pass) {
      time += operation.run.device;
    }
  }
  return time;
}

void check_times(const Json& document) {
  const Listed job = listed(document);
  REQUIRE(job.program.classes.size() == job.layout.stages.size());  // one class a stage
  for (std::size_t stage = 0; stage < job.layout.stages.size(); ++stage) {
    CAPTURE(stage);
    CHECK(passes_by_listing(job, stage).value ==
          doctest::Approx(passes_of_program(job.program.classes[stage]).value).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("the kernels listed for layers, embedding and head are those that the program runs") {
  check_times(main_job_with({"training.global_batch=256"}));
  check_times(main_job_with({"training.global_batch=256", "training.recompute=none", "layout.vpp=2"}));
  check_times(main_job_with({"training.global_batch=256", "training.schedule=zb-h1", "framework=megatron-core"}));
  check_times(parse_json(R"({"model": "deepseek-v2-lite", "cluster": "hgx-h800", "gpus": 32,
                             "layout": {"pp": 2, "ep": 8}, "training": {"global_batch": 64}})",
                         "job.json"));
}

TEST_CASE("a GEMM is listed with the shape of a rank's share") {
  // 2048 tokens of one sequence; query, key and value of 12288 columns each, over 8 ranks: 4608; depth 12288.
  const Listed job = listed(main_job());
  const auto& forward = job.parts.at("layer").forward;
  const auto qkv =
      std::find_if(forward.begin(), forward.end(), [](const ListedOperator& one) { return one.op.name == "qkv"; });
  REQUIRE(qkv != forward.end());
  const Gemm& gemm = std::get<Gemm>(qkv->op.work);
  CHECK(gemm.m == 2048);
  CHECK(gemm.n == 4608);
  CHECK(gemm.k == 12288);
}

TEST_CASE("equal operations are listed once with their number, and none is lost") {
  const Listed job = listed(main_job_with({"training.global_batch=256"}));
  for (const RankProgram& program : job.program.classes) {
    std::int64_t count = 0;
    const std::vector<ListedOperation> operations = list_operations(program);
    for (const ListedOperation& one : operations) {
      count += one.count;
      CHECK(one.communications.size() == one.first.communications);
    }
    CHECK(count == static_cast<std::int64_t>(program.operations.size()));
    CHECK(operations.size() < 100);  // of thousands
  }
}

TEST_CASE("memory-bound kernels of a framework have rates of their own, lower ones where tensors have 16 bits") {
  const auto times = [](const char* framework, const char* precision) {
    const Listed job = listed({{"model", "bert-base"},
                               {"cluster", "v100-edr"},
                               {"gpus", 1},
                               {"framework", framework},
                               {"training", {{"precision", precision}, {"seq_len", 128}}}});
    std::map<bool, double> sums;  // of memory-bound kernels, and of the others
    for (const ListedOperator& one : job.parts.at("layer").forward) {
      sums[std::holds_alternative<MemoryBound>(one.op.work)] += one.time.value;
    }
    return sums;
  };
  const double slow = load_framework("ddp-2020").memory_rate_16_bit;
  REQUIRE(slow < 1.0);
  CHECK(times("ddp-2020", "fp32") == times("ddp", "fp32"));
  CHECK(times("ddp-2020", "fp16")[true] == doctest::Approx(times("ddp", "fp16")[true] / slow));
  CHECK(times("ddp-2020", "fp16")[false] == doctest::Approx(times("ddp", "fp16")[false]));
}

}  // namespace test_listing
