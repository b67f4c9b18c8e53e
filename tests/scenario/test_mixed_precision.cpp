// The format of stored parameters, and the checks of collectives that a job can turn on.
#include <doctest/doctest.h>

#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_mixed_precision {

TEST_CASE("parameters are stored as wide as activations unless they are stated to be fp32") {
  const auto stored = [](std::initializer_list<std::string_view> keys) {
    Json job = main_job_with(keys);
    job["cluster"] = "dgx-h100";  // which has all of the formats
    return read_scenario(job, "job.json").training.param_dtype;
  };
  CHECK(stored({}) == Precision::kFp16);  // megatron-lm-2022 trains in fp16
  CHECK(stored({"training.precision=bf16"}) == Precision::kBf16);
  CHECK(stored({"training.precision=fp8"}) == Precision::kBf16);
  CHECK(stored({"training.precision=tf32"}) == Precision::kFp32);
  CHECK(stored({"training.precision=bf16", "training.param_dtype=fp32"}) == Precision::kFp32);
}

TEST_CASE("a format of parameters that no recipe has is refused; fp32 beside 16 bits is echoed") {
  for (const char* dtype : {"training.param_dtype=fp8", "training.param_dtype=fp16", "training.param_dtype=tf32"}) {
    const auto fault = refusal(main_job_with({"training.precision=bf16", dtype}));
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == "/training/param_dtype");
    CHECK(fault->allowed == "bf16, fp32");
  }
  const auto gathered = refusal(main_job_with({"cluster=dgx-h100", "training.precision=fp8", "training.param_dtype=fp8",
                                               "training.data_parallel=fsdp", "training.zero_stage=3"}));
  REQUIRE(gathered.has_value());
  CHECK(gathered->pointer == "/training/param_dtype");
  const auto narrow = refusal(main_job_with({"training.precision=fp32", "training.param_dtype=bf16"}));
  REQUIRE(narrow.has_value());
  CHECK(narrow->allowed == "fp32");
  const Json mixed =
      read_scenario(main_job_with({"training.precision=bf16", "training.param_dtype=fp32"}), "job.json").resolved;
  CHECK(mixed["training"]["param_dtype"] == "fp32");
  CHECK_FALSE(read_scenario(main_job(), "job.json").resolved["training"].contains("param_dtype"));
}

TEST_CASE("collectives are checked only where a profile says what that costs") {
  const auto fault = refusal(main_job_with({"training.distributed_debug=detail"}));
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/distributed_debug");
  const Scenario checked =
      read_scenario(main_job_with({"framework=nanotron", "training.distributed_debug=detail"}), "job.json");
  CHECK(checked.training.distributed_debug == DistributedDebug::kDetail);
  CHECK(checked.resolved["training"]["distributed_debug"] == "detail");
  CHECK(refusal(main_job_with({"training.distributed_debug=info"}))->pointer == "/training/distributed_debug");
}

}  // namespace test_mixed_precision
