#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "kernels/calibration.hpp"
#include "kernels/gpu.hpp"
#include "kernels/grouped_kernel.hpp"
#include "sim/scenario/framework.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_framework {

TEST_CASE("the framework profiles of the field are in the catalogue and complete") {
  const std::vector<std::string> names = framework_names();
  for (const std::string_view name : {"megatron-lm-2022",
                                      "megatron-core",
                                      "megatron-deepspeed",
                                      "nanotron",
                                      "torchtitan",
                                      "fsdp",
                                      "composer-fsdp",
                                      "deepspeed",
                                      "internevo",
                                      "jax",
                                      "ddp",
                                      "ddp-2020",
                                      "ddp-jit",
                                      "horovod",
                                      "horovod-xla",
                                      "tf-replicated",
                                      "tf-mirrored",
                                      "mxnet",
                                      "mxnet-horovod",
                                      "paddle",
                                      "oneflow",
                                      "libai",
                                      "mpi"}) {
    CAPTURE(name);
    REQUIRE(std::find(names.begin(), names.end(), name) != names.end());
  }
  for (const std::string& name : names) {
    CAPTURE(name);
    const FrameworkProfile profile = load_framework(name);
    CHECK(profile.name == name);
    CHECK_FALSE(profile.description.empty());
    CHECK_FALSE(profile.nccl_version.empty());
    CHECK(profile.host.forward_operator > Seconds{});
    CHECK(profile.host.backward_operator > Seconds{});
    CHECK(profile.host.collective > Seconds{});
    CHECK(profile.memory.context > Bytes{});
    CHECK(profile.vocab_multiple >= 1);
  }
}

TEST_CASE("profiles differ where the frameworks do") {
  const FrameworkProfile old = load_framework("megatron-lm-2022");
  CHECK(old.operators.attention == AttentionKernel::kUnfusedSoftmaxFused);  // no FlashAttention in 2022's releases
  CHECK(old.exchange == PipelineExchange::kBatchedSync);
  CHECK(old.data_parallel.gradient_reduction == GradientReduction::kAfterBackward);
  const FrameworkProfile core = load_framework("megatron-core");
  CHECK(core.operators.attention == AttentionKernel::kFlash);
  CHECK(core.data_parallel.gradient_reduction == GradientReduction::kOverlapped);
  CHECK(core.grouped_kernel == GroupedKernel::kManyStreams);  // cuBLAS under Transformer Engine
  // A compiled step: next to nothing on the host for every kernel, and experts in one kernel.
  const FrameworkProfile jax = load_framework("jax");
  CHECK(jax.host.forward_operator < 0.1 * core.host.forward_operator);
  CHECK(jax.grouped_kernel == GroupedKernel::kOneKernel);
  const FrameworkProfile internevo = load_framework("internevo");
  CHECK(internevo.data_parallel.overlap_comm == CommunicationOverlap::kOn);
  CHECK(internevo.default_zero_stage == 1);
}

TEST_CASE("the attention kernel that a profile names was measured on some GPU") {
  for (const std::string& name : framework_names()) {
    CAPTURE(name);
    const FrameworkProfile profile = load_framework(name);
    const std::vector<std::string> gpus = gpu_names();
    CHECK((profile.attention_kernel.empty() || std::any_of(gpus.begin(), gpus.end(), [&](const std::string& gpu) {
             return calibration_for(load_gpu(gpu)).attention.contains(profile.attention_kernel);
           })));
  }
}

TEST_CASE("a step in fp32 has gradients of fp32, also under a profile of 16-bit gradients") {
  const auto grad_dtype = [](const char* precision) {
    const std::string text = fmt::format(
        R"({{"model": "bert-base", "cluster": "dgx-a100", "gpus": 8, "framework": "ddp",
            "training": {{"precision": "{}"}}}})",
        precision);
    return read_scenario(parse_json(text, "job.json"), "job.json").training.grad_dtype;
  };
  CHECK(grad_dtype("fp16") == Precision::kFp16);
  CHECK(grad_dtype("bf16") == Precision::kBf16);
  CHECK(grad_dtype("fp32") == Precision::kFp32);
  CHECK(grad_dtype("tf32") == Precision::kFp32);
}

TEST_CASE("an unknown framework profile is refused where its name was given") {
  try {
    load_framework("megatron-lm-2202", "job.json", "/framework");
    FAIL("accepted");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    CHECK(error.fault().file == "job.json");
    CHECK(error.fault().pointer == "/framework");
    CHECK(error.fault().nearest == "megatron-lm-2022");
  }
}

TEST_CASE("a strategy's options are written in the schema that reads them") {
  for (const std::string& name : kDataParallelNames.names()) {
    CAPTURE(name);
    const Json named = name;
    const Json written = to_json(read_data_parallel(JsonReader(named, "strategy"), {}));
    CHECK(written["strategy"] == name);
    CHECK(written.size() > 2);
    CHECK(to_json(read_data_parallel(JsonReader(written, "written"), {})) == written);
  }
}

}  // namespace test_framework
