// "strategy" of a training: what is read, and what is refused with which key.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/worker_alone.hpp"

using namespace trainyard;

namespace test_update_strategy {

namespace {

// 16 GPUs in two nodes; replicas of `tp` GPUs.
Scenario scenario_of(const std::string& strategy, int tp = 1, const std::string& more = "") {
  return read_scenario(parse_json(fmt::format(R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 16,
      "layout": {{"tp": {}}}, "training": {{"global_batch": 16, "strategy": {} {}}}}})",
                                              tp, strategy, more),
                                  "job.json"),
                       "job.json");
}

void check_refused(const std::string& strategy, const char* key, int tp = 1) {
  CAPTURE(strategy);
  const auto read = [&] { scenario_of(strategy, tp); };
  CHECK_THROWS_WITH_AS(read(), doctest::Contains(key), UserError);
}

}  // namespace

TEST_CASE("a strategy is a mode, or a mode with what it asks for") {
  const UpdateStrategy plain = *scenario_of(R"("asynchronous")").training.strategy;
  CHECK(plain.mode == Synchronisation::kAsynchronous);
  CHECK(plain.workers == 16);
  CHECK(plain.dedicated_servers == 1);
  const UpdateStrategy full =
      *scenario_of(R"({"sync": "stale-synchronous", "servers": 2, "bound": 4, "compress": "top-k", "keep": 0.1,
                       "worker_gpus": 8, "updates": 20})")
           .training.strategy;
  CHECK(full.workers == 2);
  CHECK(full.servers == 2);
  CHECK(full.dedicated_servers == 0);
  CHECK(full.bound == 4);
  CHECK(full.compression.kept == 0.1);
  CHECK(scenario_of(R"("gossip")").training.strategy->dedicated_servers == 0);
}

TEST_CASE("what was read is echoed, and read again alike") {
  for (const char* strategy : {R"("synchronous")", R"({"sync": "gossip", "graph": [[0, 1], [1, 2]]})",
                               R"({"sync": "federated", "data_sizes": "zipf", "dropout": 0.1})",
                               R"({"sync": "all-reduce", "compress": "powersgd", "rank": 4, "error_feedback": false})",
                               R"({"sync": "synchronous", "batch_shares": "by-speed", "servers": 4})"}) {
    CAPTURE(strategy);
    const Scenario scenario = scenario_of(strategy);
    const Json& echo = scenario.resolved.at("training").at("strategy");
    CHECK(scenario_of(echo.dump()).resolved == scenario.resolved);
  }
}

TEST_CASE("what no strategy can have is refused with its key") {
  check_refused(R"("everybody")", "/training/strategy");
  check_refused(R"({"sync": "synchronous", "servers": 0})", "/training/strategy/servers");
  check_refused(R"({"sync": "synchronous", "servers": 17})", "/training/strategy/servers");
  check_refused(R"({"sync": "backup-workers", "backup": 16})", "/training/strategy/backup");
  check_refused(R"({"sync": "stale-synchronous", "bound": -1})", "/training/strategy/bound");
  check_refused(R"({"sync": "local-steps", "local_steps": 0})", "/training/strategy/local_steps");
  check_refused(R"({"sync": "gossip", "graph": [[0, 16]]})", "/training/strategy/graph/0/1");
  check_refused(R"({"sync": "gossip", "graph": [[0]]})", "/training/strategy/graph/0");
  check_refused(R"({"sync": "asynchronous", "worker_gpus": 5})", "/training/strategy/worker_gpus");
  check_refused(R"({"sync": "asynchronous", "worker_gpus": 2})", "/training/strategy/worker_gpus", 4);
  check_refused(R"({"sync": "synchronous", "worker_gpus": 8, "batch_shares": [0.6, 0.6]})",
                "/training/strategy/batch_shares");
  check_refused(R"({"sync": "synchronous", "worker_gpus": 8, "batch_shares": [1]})", "/training/strategy/batch_shares");
  check_refused(R"({"sync": "all-reduce", "compress": "threshold", "threshold": 0.1})", "threshold");
  check_refused(R"({"sync": "gossip", "graph": []})", "/training/strategy/graph");
  check_refused(R"({"servers": 2})", "/training/strategy");
  check_refused(R"({"sync": "federated", "batch_shares": "by-speed"})", "/training/strategy/batch_shares");
}

TEST_CASE("keys that a mode has no use for are refused, not ignored") {
  for (const char* key : {"servers", "bound", "backup", "local_steps", "switch_at", "client_share", "dropout", "keep",
                          "bits", "rank", "warm_up"}) {
    check_refused(fmt::format(R"({{"sync": "all-reduce", "{}": 1}})", key), key);
  }
  check_refused(R"({"sync": "all-reduce", "push": "layer"})", "push");
  check_refused(R"({"sync": "all-reduce", "graph": "ring"})", "graph");
}

TEST_CASE("a strategy asks things of the layout and the recipe") {
  CHECK_THROWS_WITH_AS(
      scenario_of(R"({"sync": "all-reduce", "compress": "one-bit-adam"})", 1, R"(, "optimizer": "sgd")"),
      doctest::Contains("/training/strategy/compress"), UserError);
  const auto with_experts = [] {
    read_scenario(
        parse_json(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 16, "layout": {"ep": 8, "etp": 1},
        "training": {"global_batch": 16, "strategy": "asynchronous"}})",
                   "job.json"),
        "job.json");
  };
  CHECK_THROWS_WITH_AS(with_experts(), doctest::Contains("/layout/ep"), UserError);
}

TEST_CASE("servers do not work with whole matrices, and no worker has all tables") {
  CHECK_THROWS_WITH_AS(scenario_of(R"("synchronous")", 1, R"(, "optimizer": "muon")"),
                       doctest::Contains("/training/optimizer"), UserError);
  CHECK_NOTHROW(scenario_of(R"("local-steps")", 1, R"(, "optimizer": "muon")"));
  const auto with_tables = [] {
    read_scenario(parse_json(R"({"model": "dlrm", "cluster": "dgx-a100", "gpus": 8, "framework": "ddp",
        "training": {"strategy": {"sync": "asynchronous", "worker_gpus": 8}}})",
                             "job.json"),
                  "job.json");
  };
  CHECK_THROWS_WITH_AS(with_tables(), doctest::Contains("/training/strategy"), UserError);
}

TEST_CASE("local steps are simulated in whole rounds") {
  CHECK(scenario_of(R"({"sync": "local-steps", "local_steps": 64})").training.strategy->updates == 128);
  CHECK(scenario_of(R"({"sync": "local-steps", "local_steps": 1000})").training.strategy->updates == 1000);
}

TEST_CASE("a worker alone has its share of the GPUs, the replicas and the batch") {
  const Scenario worker = worker_alone(scenario_of(R"({"sync": "asynchronous", "worker_gpus": 8})", 2), 0);
  CHECK(worker.gpus == 8);
  CHECK(worker.layout.dp == 4);
  CHECK(worker.training.global_batch == 8);
  CHECK(!worker.training.strategy);
}

}  // namespace test_update_strategy
