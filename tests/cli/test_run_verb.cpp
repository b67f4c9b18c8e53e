// `trainyard run` as a user and a program see it: the result contract, determinism, outputs.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/cli/binary.hpp"
#include "tests/sanitized.hpp"

using namespace trainyard;

namespace test_run_verb {

using Document = nlohmann::json;

namespace {

// Two stages of two tensor-parallel ranks, twice: every kind of communication occurs.
const std::string kTwoStages =
    "run --model gpt2 --cluster dgx-a100 --gpus 8 --tp 2 --pp 2 --micro-batch 1 --global-batch 8 ";

Document result_of(const std::string& line) {
  const Outcome outcome = trainyard_line(line + " --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

Document without_wall(Document result) {
  result.at("sim").erase("wall_s");
  return result;
}

}  // namespace

TEST_CASE("the result has every key of the contract") {
  const Document result = result_of(kTwoStages);
  for (const char* key :
       {"step_time_s", "tokens_per_s", "tokens_per_s_per_gpu", "samples_per_s", "model_tflops_per_gpu", "mfu", "hfu",
        "breakdown_s", "memory", "uncertainty", "critical_path", "links", "sim", "scenario"}) {
    CAPTURE(key);
    CHECK(result.contains(key));
  }
  std::set<std::string> parts;
  for (const auto& [name, time] : result.at("breakdown_s").items()) {
    parts.insert(name);
  }
  CHECK(parts == std::set<std::string>{"compute", "exposed_tp", "exposed_pp", "exposed_dp", "exposed_cp", "exposed_ep",
                                       "bubble", "host", "input", "optimizer", "other"});
  for (const char* key : {"peak_bytes", "capacity_bytes", "fits", "per_stage"}) {
    CHECK(result.at("memory").contains(key));
  }
  for (const char* key : {"wall_s", "events", "ranks_simulated", "network", "fold"}) {
    CHECK(result.at("sim").contains(key));
  }
  for (const char* key : {"low_s", "high_s", "basis"}) {
    CHECK(result.at("uncertainty").contains(key));
  }
  for (const Document& link : result.at("links")) {
    CHECK(link.at("busy_fraction").get<double>() <= 1.0 + 1e-9);
    CHECK(link.at("bytes").get<double>() >= 0.0);
    CHECK_FALSE(link.at("name").get<std::string>().empty());
  }
}

TEST_CASE("the numbers of the result agree with each other") {
  const Document result = result_of(kTwoStages);
  const double step = result.at("step_time_s");
  double parts = 0.0;
  for (const auto& [name, time] : result.at("breakdown_s").items()) {
    CHECK(time.get<double>() >= 0.0);
    parts += time.get<double>();
  }
  CHECK(std::abs(parts / step - 1.0) < 1e-9);
  double path = 0.0;
  for (const Document& part : result.at("critical_path")) {
    path += part.at("time_s").get<double>();
  }
  CHECK(std::abs(path / step - 1.0) < 1e-6);
  // 8 sequences of 1024 tokens on 8 GPUs.
  CHECK(result.at("samples_per_s").get<double>() == doctest::Approx(8.0 / step));
  CHECK(result.at("tokens_per_s").get<double>() == doctest::Approx(8192.0 / step));
  CHECK(result.at("tokens_per_s_per_gpu").get<double>() == doctest::Approx(1024.0 / step));
  // The dense bf16 peak of an A100 is 312 TFLOP/s.
  CHECK(result.at("mfu").get<double>() == doctest::Approx(result.at("model_tflops_per_gpu").get<double>() / 312.0));
  CHECK(result.at("hfu").get<double>() >= result.at("mfu").get<double>());
  CHECK(result.at("uncertainty").at("low_s").get<double>() < step);
  double peak = 0.0;
  for (const Document& stage : result.at("memory").at("per_stage")) {
    double total = 0.0;
    for (const auto& [name, bytes] : stage.at("terms_bytes").items()) {
      total += bytes.get<double>();
    }
    CHECK(total == doctest::Approx(stage.at("total_bytes").get<double>()));
    peak = std::max(peak, total);
  }
  CHECK(result.at("memory").at("per_stage").size() == 2);
  CHECK(result.at("memory").at("peak_bytes").get<double>() == doctest::Approx(peak));
  CHECK(result.at("memory").at("fits") == true);
}

TEST_CASE("the same input gives the same bits") {
  for (const std::string network : {"--network flow", "--network analytic"}) {
    CHECK(without_wall(result_of(kTwoStages + network)).dump() == without_wall(result_of(kTwoStages + network)).dump());
  }
}

TEST_CASE("flags, a scenario file and --set ask the same question") {
  const ScratchFolder scratch;
  const std::string file = scratch.file("s.json", R"({"model":"gpt2","cluster":"dgx-a100","gpus":8,
    "layout":{"tp":2,"pp":2},"training":{"micro_batch":1,"global_batch":8}})");
  const Document flags = without_wall(result_of(kTwoStages));
  CHECK(without_wall(result_of("run " + file)) == flags);
  const std::string other = scratch.file("o.json", R"({"model":"gpt2-xl","cluster":"dgx-a100","gpus":8,
    "layout":{"tp":1,"pp":2},"training":{"micro_batch":1,"global_batch":8}})");
  CHECK(without_wall(result_of("run " + other + " --model gpt2 --set layout.tp=2")) == flags);
}

TEST_CASE("the resolved scenario is a scenario that gives the same result") {
  const ScratchFolder scratch;
  Document first = without_wall(result_of(kTwoStages));
  const std::string file = scratch.file("resolved.json", first.at("scenario").dump());
  Document second = without_wall(result_of("run " + file));
  // The one thing that differs: a length that is stated was not taken from the model.
  CHECK(first.at("notes").size() == 1);
  CHECK(second.at("notes").empty());
  first.erase("notes");
  second.erase("notes");
  CHECK(second == first);
}

TEST_CASE("--json to a file leaves the text for people, and the trace is written beside it") {
  const ScratchFolder scratch;
  const std::string json = scratch.path / "r.json";
  const std::string trace = scratch.path / "t.json";
  const Outcome outcome = trainyard_line(kTwoStages + "--json " + json + " --trace " + trace);
  REQUIRE(outcome.code == 0);
  CHECK((outcome.err.empty() || checks::kSanitized));  // the sanitizer itself speaks on standard error
  for (const char* heading : {"step time", "throughput", "where the step went", "memory per GPU", "critical path",
                              "busiest links", "simulated ", "tp 2  pp 2", "gpt2 on 8 x a100-80 (dgx-a100)"}) {
    CAPTURE(heading);
    CHECK(outcome.out.find(heading) != std::string::npos);
  }
  CHECK(Document::parse(content_of(json)).contains("step_time_s"));
  const Document events = Document::parse(content_of(trace)).at("traceEvents");
  std::multiset<long long> tails;
  std::multiset<long long> heads;
  for (const Document& event : events) {
    if (event.at("ph") == "s") {
      tails.insert(event.at("id").get<long long>());
    } else if (event.at("ph") == "f") {
      heads.insert(event.at("id").get<long long>());
    }
  }
  // Two replicas of 4 micro-batches each, one activation down and one gradient up: 8 arrows between the two shown
  // ranks.
  CHECK(tails.size() == 8);
  CHECK(tails == heads);
  CHECK(scratch.entries() == 2);
}

TEST_CASE("a forced collective algorithm is the one that runs, or the answer says what it cannot do") {
  const Document free = result_of(kTwoStages);
  const Document ring = result_of(kTwoStages + "--collective-algorithm ring");
  CHECK(ring.at("scenario").at("training").at("collective_algorithm") == "ring");
  // Pairs of a node: rings already.
  CHECK(ring.at("step_time_s") == free.at("step_time_s"));
  const Document tree = result_of(kTwoStages + "--collective-algorithm tree");
  CHECK(tree.at("step_time_s") > ring.at("step_time_s"));
  CHECK(tree.at("notes") == ring.at("notes"));
  const Document set = result_of(kTwoStages + "--set training.collective_algorithm=tree");
  CHECK(without_wall(set) == without_wall(tree));
  const Outcome nvls = trainyard_line(kTwoStages + "--collective-algorithm nvls");
  CHECK(nvls.code == 2);
  CHECK(nvls.err.find("in: --collective-algorithm") != std::string::npos);
  CHECK(nvls.err.find("found: nvls for ") != std::string::npos);
  CHECK(trainyard_line(kTwoStages + "--collective-algorithm rings").err.find("did you mean: ring\n") !=
        std::string::npos);
  const std::string idle =
      "training.collective_algorithm changes nothing here: no call of this step has p2p for a choice";
  const Document sends = result_of(kTwoStages + "--collective-algorithm p2p");
  CHECK(sends.at("notes").back() == idle);
  CHECK(sends.at("step_time_s") == free.at("step_time_s"));
  CHECK(trainyard_line(kTwoStages + "--collective-algorithm p2p").out.find("  note      " + idle) != std::string::npos);
}

}  // namespace test_run_verb
