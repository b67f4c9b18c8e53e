// Optimizers that work with whole matrices: what they compute, and what travels for it under each strategy.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_matrix_update {

namespace {

// Counts floating-point operations in the place of seconds.
class CountingCosts final : public KernelCosts {
 public:
  Seconds gemm(const Gemm& work) const override { return Seconds{work.flops().value}; }
  Seconds grouped_gemm(const GroupedGemm&) const override { return {}; }
  Seconds attention(const Attention&) const override { return {}; }
  Seconds convolution(const Convolution&) const override { return {}; }
  Seconds memory_bound(const MemoryBound&) const override { return {}; }
};

Program program_of(std::string_view optimizer, std::string_view strategy, int gpus, int zero_stage) {
  const std::string text = fmt::format(R"({{"model": "llama-2-7b", "cluster": "dgx-a100", "gpus": {},
      "training": {{"global_batch": {}, "precision": "bf16", "grad_dtype": "fp32", "optimizer": "{}",
                    "data_parallel": "{}", "zero_stage": {}}}}})",
                                       gpus, 16 * gpus, optimizer, strategy, zero_stage);
  Scenario scenario = read_scenario(parse_json(text, "job.json"), "job.json");
  scenario.framework.kernel_rate = 1.0;
  return build_program(scenario, make_layout(scenario), CountingCosts());
}

// Of the products with whole matrices.
double flops(const Program& program) {
  double total = 0.0;
  for (const Operation& operation : program.classes.front().operations) {
    const std::string& name = program.names[static_cast<std::size_t>(operation.name)];
    total += name.ends_with("matrices") ? operation.run.device.value : 0.0;
  }
  return total;
}

// Bytes of communications by name, as nccl-tests counts them.
std::map<std::string, double> moved(const Program& program) {
  std::map<std::string, double> bytes;
  const RankProgram& rank = program.classes.front();
  for (const Operation& operation : rank.operations) {
    for (std::uint32_t i = 0; i < operation.communications; ++i) {
      bytes[program.names[static_cast<std::size_t>(operation.name)]] +=
          program.communications[rank.communications[operation.first_communication + i].index()].size.value;
    }
  }
  return bytes;
}

// Of Llama 2 7B: query, key and value in one; the output's; gate and up in one; down.
constexpr double kHidden = 4096.0;
constexpr double kFfn = 11008.0;
constexpr double kLayers = 32.0;
constexpr double kElements = kLayers * (4.0 * kHidden * kHidden + 3.0 * kHidden * kFfn);

// Five steps of three products of an r x c matrix, r at most c: its square, the square's square, and their product.
double newton_schulz(double r, double c) {
  return 5.0 * 2.0 * (r * r * c + r * r * r + r * r * c);
}
double newton_schulz_of_model() {
  return kLayers * (newton_schulz(kHidden, 3.0 * kHidden) + newton_schulz(kHidden, kHidden) +
                    newton_schulz(kHidden, 2.0 * kFfn) + newton_schulz(kHidden, kFfn));
}

}  // namespace

TEST_CASE("muon's five Newton-Schulz steps are run on every matrix where replicas share nothing out") {
  CHECK(flops(program_of("muon", "ddp", 1, 0)) == doctest::Approx(newton_schulz_of_model()));
  CHECK(flops(program_of("muon", "ddp", 8, 0)) == doctest::Approx(newton_schulz_of_model()));
  CHECK(flops(program_of("adam", "ddp", 8, 0)) == 0.0);
}

TEST_CASE("flat partitions gather momenta in 16 bits, and work on what they touch") {
  const Program program = program_of("muon", "megatron", 8, 1);
  CHECK(moved(program)["gather momenta"] == doctest::Approx(2.0 * kElements));
  // An eighth of all, and a matrix at the partition's edge.
  const double eighth = newton_schulz_of_model() / 8.0;
  CHECK(flops(program) > eighth);
  CHECK(flops(program) < eighth + newton_schulz(kHidden, 2.0 * kFfn));
}

TEST_CASE("FSDP deals whole matrices, and returns their updates") {
  const Program program = program_of("muon", "fsdp", 8, 3);
  std::map<std::string, double> bytes = moved(program);
  CHECK(bytes["deal momenta"] == doctest::Approx(2.0 * kElements / 8.0));
  CHECK(bytes["return updates"] == doctest::Approx(2.0 * kElements / 8.0));
  CHECK(flops(program) == doctest::Approx(newton_schulz_of_model() / 8.0));
}

TEST_CASE("no rank has less than a matrix to work on, however many there are") {
  const double most = newton_schulz(kHidden, 2.0 * kFfn);
  CHECK(flops(program_of("muon", "fsdp", 512, 3)) == doctest::Approx(most));
}

TEST_CASE("replicas share out shampoo's blocks, and gather the updates in fp32") {
  const Program alone = program_of("shampoo", "ddp", 1, 0);
  const Program shared = program_of("shampoo", "ddp", 8, 0);
  CHECK(flops(alone) > 0.0);
  CHECK(flops(shared) == doctest::Approx(flops(alone) / 8.0));
  CHECK(moved(shared)["gather updates"] == doctest::Approx(4.0 * kElements));
  CHECK(moved(program_of("shampoo", "fsdp", 8, 3)).count("gather updates") == 0);
}

TEST_CASE("hosts do not update whole matrices") {
  const auto offloaded = [] {
    read_scenario(parse_json(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "framework": "deepspeed",
        "training": {"global_batch": 8, "optimizer": "muon", "zero_stage": 2, "offload": {"optimizer": 1}}})",
                             "job.json"),
                  "job.json");
  };
  CHECK_THROWS_WITH_AS(offloaded(), doctest::Contains("/training/offload/optimizer"), UserError);
}

}  // namespace test_matrix_update
