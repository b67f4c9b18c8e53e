// Jobs whose workers meet over many updates, against what follows from one worker alone and the network before it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/predict/answer.hpp"
#include "sim/predict/worker.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/worker_alone.hpp"

using namespace trainyard;

namespace test_update_answer {

namespace {

Scenario scenario_of(const std::string& strategy, const std::string& more = "", int gpus = 32) {
  return read_scenario(
      parse_json(fmt::format(R"({{"model": "resnet-50", "cluster": "v100-edr", "gpus": {},
      "framework": "ddp", "training": {{"micro_batch": 32, "global_batch": {}, "grad_dtype": "fp32" {}}} {}}})",
                             gpus, 32 * gpus, strategy.empty() ? "" : ", \"strategy\": " + strategy, more),
                 "job.json"),
      "job.json");
}

Report report_of(const std::string& strategy, const std::string& more = "", int gpus = 32) {
  return answer(scenario_of(strategy, more, gpus)).report;
}

}  // namespace

TEST_CASE("one worker that has all GPUs is the job without a strategy") {
  const Report one = report_of(R"({"sync": "all-reduce", "worker_gpus": 32, "updates": 3})");
  const Report plain = report_of("");
  CHECK(one.step.value == doctest::Approx(plain.step.value).epsilon(1e-9));
  CHECK(one.breakdown.compute.value == doctest::Approx(plain.breakdown.compute.value).epsilon(1e-9));
  CHECK(one.samples_per_second == doctest::Approx(plain.samples_per_second).epsilon(1e-9));
}

TEST_CASE("the parts of every strategy's breakdown sum to the step") {
  for (const auto& [name, mode] : kSynchronisationNames.rows) {
    CAPTURE(name);
    const Report report = report_of(fmt::format(R"({{"sync": "{}", "worker_gpus": 8, "updates": 10}})", name));
    CHECK(report.breakdown.total().value == doctest::Approx(report.step.value).epsilon(1e-9));
    for (const Breakdown::Part& part : report.breakdown.parts()) {
      CHECK(part.time.value >= -1e-9 * report.step.value);
    }
    CHECK(report.updates->workers == 4);
  }
}

TEST_CASE("a single server that all GPUs push to binds the synchronous step by its NIC") {
  const Scenario scenario = scenario_of(R"({"sync": "synchronous", "updates": 4})");
  const Report report = answer(scenario).report;
  // Of a node, eight shares: all gradients in, all parameters out, before and after one GPU's iteration.
  const BytesPerSecond nic = nic_of(scenario.cluster).bandwidth * 8.0;
  const Seconds transfers = 2.0 * 32.0 * pushed_bytes(scenario.model) / nic;
  CHECK(report.step > transfers);
  CHECK(report.breakdown.exposed_dp + report.breakdown.bubble > transfers);
  CHECK(report.updates->busiest_server > 0.3);
}

TEST_CASE("asynchronous workers of equal speed are W - 1 versions late, synchronous ones never") {
  CHECK(report_of(R"({"sync": "asynchronous", "worker_gpus": 8})").updates->mean_staleness ==
        doctest::Approx(3.0).epsilon(0.02));
  CHECK(report_of(R"("synchronous")").updates->mean_staleness == 0.0);
}

TEST_CASE("a local step between two meetings is an all-reduce after every iteration") {
  const Report local = report_of(R"({"sync": "local-steps", "local_steps": 1, "worker_gpus": 8})");
  const Report each = report_of(R"({"sync": "all-reduce", "worker_gpus": 8})");
  CHECK(local.step.value == doctest::Approx(each.step.value).epsilon(1e-9));
}

TEST_CASE("a straggler holds all up, but a batch that is split by speed does not wait for it") {
  const std::string slow = R"(, "variation": {"stragglers": [{"node": 1, "slowdown": 2}]})";
  const Report even = report_of(R"({"sync": "all-reduce", "worker_gpus": 8})", slow);
  const Report by_speed = report_of(R"({"sync": "all-reduce", "worker_gpus": 8, "batch_shares": "by-speed"})", slow);
  const Report equal = report_of(R"({"sync": "all-reduce", "worker_gpus": 8})");
  CHECK(even.breakdown.bubble > 0.3 * even.step);
  CHECK(by_speed.breakdown.bubble < 0.01 * by_speed.step);
  // Three and a half workers' speed in the place of four; the ring takes what it took.
  const Seconds ring = equal.breakdown.exposed_dp;
  CHECK(by_speed.step.value < even.step.value);
  CHECK((by_speed.step - ring).value == doctest::Approx((equal.step - ring).value * 4.0 / 3.5).epsilon(0.02));
}

TEST_CASE("one node's workers meet in the host's memory, over the links of their GPUs") {
  const Scenario scenario = scenario_of(R"("synchronous")", "", 8);
  const UpdateJob job = update_job_of(scenario, answer(worker_alone(scenario, 0)).report);
  CHECK(job.workers.front().nic.bandwidth.value == scenario.cluster.node.host_link.value);
  CHECK(job.servers.size() == 1);
}

TEST_CASE("servers keep the optimizer's states, all-reducing workers their own") {
  const Scenario served = scenario_of(R"("asynchronous")", "", 8);
  const Scenario ring = scenario_of(R"("all-reduce")", "", 8);
  const auto states = [](const Scenario& scenario) {
    return estimate_memory(scenario, make_layout(scenario)).stages.front().uses[MemoryUse::kOptimizer].value;
  };
  CHECK(states(served) < states(ring));
}

TEST_CASE("gradients of 16 bits are pushed so, parameters are pulled in fp32") {
  const auto sent = [](const char* format) {
    Json document = parse_json(R"({"model": "resnet-50", "cluster": "v100-edr", "gpus": 32, "framework": "ddp",
        "training": {"micro_batch": 32, "global_batch": 1024, "strategy": "synchronous"}})",
                               "job.json");
    document["training"]["grad_dtype"] = format;
    return answer(read_scenario(document, "job.json")).report.updates->sent.value;
  };
  CHECK(sent("fp16") == doctest::Approx(sent("fp32") / 2.0));
}

TEST_CASE("samples that are slower than everything else set the pace, beside what is transferred") {
  const std::string slow = R"(, "input": {"decode": "100 ms", "cores": 40})";
  const Report plain = report_of("", slow, 16);
  for (const char* mode : {"synchronous", "asynchronous", "all-reduce"}) {
    CAPTURE(mode);
    const Report report = report_of(fmt::format(R"("{}")", mode), slow, 16);
    CHECK(report.step.value == doctest::Approx(plain.step.value).epsilon(0.01));
    CHECK(report.breakdown.total().value == doctest::Approx(report.step.value).epsilon(1e-9));
    CHECK(report.breakdown.input > Seconds{});
  }
}

TEST_CASE("gRPC moves no more between a worker and a server than a channel does") {
  const auto job = [](const char* transport, int servers) {
    const Scenario scenario = scenario_of(
        fmt::format(R"({{"sync": "asynchronous", "worker_gpus": 8, "dedicated_servers": {}, "transport": "{}"}})",
                    servers, transport));
    return update_job_of(scenario, answer(worker_alone(scenario, 0)).report).workers.front().nic.bandwidth.value;
  };
  CHECK(job("grpc", 1) == 0.9e9);
  CHECK(job("grpc", 4) == 3.6e9);
  CHECK(job("grpc", 64) == job("network", 64));
}

TEST_CASE("clients of a federation update, workers of servers do not") {
  const auto update = [](const char* mode) {
    return report_of(fmt::format(R"({{"sync": "{}", "worker_gpus": 8, "updates": 8}})", mode)).breakdown.optimizer;
  };
  CHECK(update("federated") > Seconds{});
  CHECK(update("local-steps") > Seconds{});
  CHECK(update("synchronous") == Seconds{});
}

TEST_CASE("where nothing reaches the parameters there is no answer, but what to change") {
  CHECK_THROWS_WITH_AS(report_of(R"({"sync": "federated", "dropout": 0.999, "updates": 5})"),
                       doctest::Contains("/training/strategy/updates"), UserError);
}

TEST_CASE("what is asked of one step is refused, with the key") {
  const Scenario scenario = scenario_of(R"("asynchronous")");
  CHECK_THROWS_WITH_AS(predict(scenario), doctest::Contains("/training/strategy"), UserError);
  CHECK_THROWS_WITH_AS(report_of(R"({"sync": "gossip", "graph": [[0, 1]], "worker_gpus": 8})"),
                       doctest::Contains("/training/strategy/graph"), UserError);
}

}  // namespace test_update_answer
