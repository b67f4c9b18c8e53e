// Skipping the periods of a pipeline's steady state changes nothing that the report says.
#include <fmt/format.h>

#include <cmath>

#include "sim/studies/repetition.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace {

std::string pipeline(const std::string& schedule, int vpp, int batch, const std::string& framework) {
  return fmt::format(R"({{"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8,
      "layout": {{"tp": 2, "pp": 4, "vpp": {}, "dp": 1}},
      "training": {{"global_batch": {}, "micro_batch": 1, "schedule": "{}"}}, "framework": "{}"}})",
                     vpp, batch, schedule, framework);
}

Json figures(const Report& report) {
  Json out;
  out["step"] = report.step.value;
  for (const Breakdown::Part& part : report.breakdown.parts()) {
    out["parts"][std::string(part.name)] = part.time.value;
  }
  for (const LinkUse& link : report.links) {
    out["bytes"].push_back(link.bytes.value);
  }
  double path = 0.0;
  for (const CriticalPart& part : report.critical_path) {
    path += part.time.value;
  }
  out["path"] = path;
  out["micro_batches_simulated"] = report.micro_batches_simulated;
  return out;
}

// The whole step and the folded one.
std::vector<Json> both(const Scenario& scenario) {
  const auto outputs = run_in_children(2, available_processors(), [&](std::size_t task) {
    return figures(task == 0 ? predict(scenario).report : answer(scenario).report).dump();
  });
  std::vector<Json> out;
  for (const auto& output : outputs) {
    REQUIRE(output.has_value());
    out.push_back(Json::parse(*output));
  }
  return out;
}

void check_near(const Json& whole, const Json& folded, double step) {
  CHECK(std::abs(whole["step"].get<double>() - folded["step"].get<double>()) <= 1e-9 * step);
  CHECK(std::abs(folded["path"].get<double>() - step) <= 1e-9 * step);
  for (const auto& [name, time] : whole["parts"].items()) {
    CHECK(std::abs(time.get<double>() - folded["parts"][name].get<double>()) <= 1e-9 * step);
  }
  for (std::size_t l = 0; whole.contains("bytes") && l < whole["bytes"].size(); ++l) {
    CHECK(folded["bytes"][l].get<double>() == doctest::Approx(whole["bytes"][l].get<double>()).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("pipelines with a steady state are folded to 1e-9 of the whole step") {
  struct Case {
    std::string schedule;
    int vpp;
    int batch;
    std::string framework;
  };
  // Kernels run beside collectives under megatron-core and nanotron. Interleaved chunks of this small model are bound
  // by a host that gains on its device, and take longer to settle.
  for (const Case& one : {Case{"1f1b", 1, 256, "megatron-core"}, Case{"1f1b", 1, 256, "megatron-lm-2022"},
                          Case{"1f1b", 1, 256, "nanotron"}, Case{"zb-v", 2, 256, "megatron-core"},
                          Case{"v-half", 2, 256, "megatron-core"}, Case{"dualpipe", 2, 256, "megatron-core"},
                          Case{"interleaved", 2, 256, "megatron-lm-2022"}, Case{"interleaved", 2, 720, "megatron-core"},
                          Case{"zb-h1", 1, 1440, "megatron-core"}}) {
    CAPTURE(one.schedule);
    CAPTURE(one.framework);
    const std::vector<Json> results = both(job(pipeline(one.schedule, one.vpp, one.batch, one.framework)));
    CHECK(results[1]["micro_batches_simulated"].get<int>() < one.batch / 2);
    check_near(results[0], results[1], results[0]["step"]);
  }
}

TEST_CASE("gradient accumulation of sharded data parallelism is folded too") {
  for (const char* framework : {"fsdp", "torchtitan"}) {
    CAPTURE(std::string(framework));
    const std::vector<Json> results = both(job(fmt::format(
        R"({{"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "layout": {{"tp": 1, "pp": 1}},
            "training": {{"global_batch": 1600, "micro_batch": 1}}, "framework": "{}"}})",
        framework)));
    CHECK(results[1]["micro_batches_simulated"].get<int>() < 100);
    check_near(results[0], results[1], results[0]["step"]);
  }
}

TEST_CASE("a step of 1,024 micro-batches is simulated at the cost of 72") {
  const Report report = answer(job(R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64,
      "layout": {"tp": 8, "pp": 8}, "training": {"global_batch": 1024}, "framework": "megatron-core"})"))
                            .report;
  CHECK(report.micro_batches == 1024);
  CHECK(report.micro_batches_simulated == 72);
}

TEST_CASE("every schedule gives the whole step's figures, folded or not") {
  for (const auto& [schedule, name] : kScheduleNames.rows) {
    const int vpp = name == ScheduleName::kInterleaved ? 2 : 1;
    Scenario scenario;
    try {
      scenario = job(pipeline(std::string(schedule), vpp, 200, "megatron-core"));
    } catch (const UserError&) {
      continue;  // a schedule that needs another shape
    }
    const std::vector<Json> results = both(scenario);
    check_near(results[0], results[1], results[0]["step"]);
  }
}

TEST_CASE("a step of few micro-batches, and one that is not folded, is simulated whole") {
  CHECK(short_steps(job(pipeline("1f1b", 1, 64, "megatron-core"))).empty());
  CHECK(short_steps(job(pipeline("1f1b", 1, 512, "megatron-core"), {"fold=false"})).empty());
  const std::vector<ShortSteps> steps = short_steps(job(pipeline("1f1b", 1, 1023, "megatron-core")));
  REQUIRE(steps.size() == 3);
  for (const ShortSteps& one : steps) {
    CHECK(one.longer + one.times * (one.longer - one.shorter) == 1023);
  }
}
