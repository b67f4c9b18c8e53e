// Laws of the data-parallel strategies: the bytes of a step, what happens at the limits, what overlap may cost.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"

using namespace trainyard;

namespace test_data_parallel {

namespace {

constexpr double kRanks = 8.0;
constexpr double kMicroBatches = 2.0;
constexpr double kModel = 2.0;     // bytes of a bf16 parameter
constexpr double kGradient = 4.0;  // bytes of an fp32 gradient

Scenario scenario_of(const std::string& data_parallel, const std::vector<std::string>& changes = {}) {
  Json document = parse_json(R"({"model": "llama-2-7b", "cluster": "dgx-a100", "gpus": 8,
      "training": {"global_batch": 16, "precision": "bf16", "grad_dtype": "fp32"}, "framework": "megatron-core"})",
                             "job.json");
  document["training"]["data_parallel"] = parse_json(data_parallel, "strategy");
  for (const std::string& change : changes) {
    set_key(document, change);
  }
  return read_scenario(document, "job.json");
}

Program program_of(const Scenario& scenario) {
  return build_program(scenario, make_layout(scenario), *calibrated_kernel_costs(scenario.gpu));
}

// Sizes of a step's data-parallel collectives, summed by kind, as nccl-tests counts them: what a rank sends of a size S
// over d ranks is 2 (d - 1) / d S for an all-reduce and (d - 1) / d S for an all-gather or a reduce-scatter.
struct Sizes {
  double all_reduce = 0.0;
  double all_gather = 0.0;
  double reduce_scatter = 0.0;
};
Sizes sizes_of(const Program& program) {
  Sizes sizes;
  const RankProgram& rank = program.classes.front();
  for (const Operation& operation : rank.operations) {
    for (std::uint32_t i = 0; operation.category == Category::kData && i < operation.communications; ++i) {
      const Communication& communication =
          program.communications[rank.communications[operation.first_communication + i].index()];
      const double size = communication.size.value;
      sizes.all_reduce += communication.op == CollectiveOp::kAllReduce ? size : 0.0;
      sizes.all_gather += communication.op == CollectiveOp::kAllGather ? size : 0.0;
      sizes.reduce_scatter += communication.op == CollectiveOp::kReduceScatter ? size : 0.0;
    }
  }
  return sizes;
}
Sizes sizes_of(const std::string& data_parallel, const std::vector<std::string>& changes = {}) {
  return sizes_of(program_of(scenario_of(data_parallel, changes)));
}

// What one rank sends, on the groups that `shard` of the ranks and their replicas form.
double sent(const Sizes& sizes, double shard) {
  const double replicas = kRanks / shard;
  return (shard - 1.0) / shard * (sizes.all_gather + sizes.reduce_scatter) +
         2.0 * (replicas - 1.0) / replicas * sizes.all_reduce;
}

double parameters() {
  static const double kParameters = static_cast<double>(make_layout(scenario_of(R"("ddp")")).stage_parameters.front());
  return kParameters;
}
// Embedding, final norm and output matrix.
double outer_parameters() {
  const Layout layout = make_layout(scenario_of(R"("ddp")"));
  double sum = 0.0;
  for (const ParameterUnit& unit : layout.units.front()) {
    sum += unit.kind == UnitKind::kLayer ? 0.0 : static_cast<double>(unit.share.total());
  }
  return sum;
}

void check_sizes(const Sizes& sizes, double all_reduce, double all_gather, double reduce_scatter) {
  CHECK(sizes.all_reduce == doctest::Approx(all_reduce).epsilon(1e-12));
  CHECK(sizes.all_gather == doctest::Approx(all_gather).epsilon(1e-12));
  CHECK(sizes.reduce_scatter == doctest::Approx(reduce_scatter).epsilon(1e-12));
}

const std::vector<std::string>& every_strategy() {
  static const std::vector<std::string> kEvery = {
      R"({"strategy": "ddp"})",
      R"({"strategy": "ddp", "gradient_sync": "every-micro-batch"})",
      R"({"strategy": "megatron", "gradient_reduction": "after-backward"})",
      R"({"strategy": "megatron", "gradient_reduction": "overlapped", "parameter_gather": "before-use"})",
      R"({"strategy": "deepspeed", "overlap_comm": true})",
      R"({"strategy": "fsdp", "outer_units": "root"})",
      R"({"strategy": "fsdp", "outer_units": "wrapped", "reduce_stream": "own", "flat_parameters": false})",
      R"({"strategy": "hsdp"})"};
  return kEvery;
}

// Kernels cost what they compute and memory is infinitely fast; so is a network that has no flows.
class Compute final : public KernelCosts {
 public:
  Seconds gemm(const Gemm& work) const override {
    return {1e-15 * static_cast<double>(work.m) * static_cast<double>(work.n) * static_cast<double>(work.k)};
  }
  Seconds grouped_gemm(const GroupedGemm&) const override { return {}; }
  Seconds attention(const Attention&) const override { return {1e-4}; }
  Seconds convolution(const Convolution&) const override { return {1e-4}; }
  Seconds memory_bound(const MemoryBound&) const override { return {}; }
};

// Ends of a program in which communication takes no time: the longest chain of kernels on the compute stream.
Seconds compute_of(const Program& program) {
  Seconds sum{};
  for (const Operation& operation : program.classes.front().operations) {
    sum += operation.kind == OperationKind::kKernels ? operation.run.device : Seconds{};
  }
  return sum;
}

}  // namespace

TEST_CASE("DDP all-reduces every gradient once a step, or once a micro-batch without no_sync") {
  check_sizes(sizes_of(R"("ddp")"), kGradient * parameters(), 0.0, 0.0);
  check_sizes(sizes_of(R"({"strategy": "ddp", "gradient_sync": "every-micro-batch"})"),
              kMicroBatches * kGradient * parameters(), 0.0, 0.0);
}

TEST_CASE("DDP's first bucket has 1 MiB and all others but the last have 25 MiB") {
  const Program program = program_of(scenario_of(R"("ddp")"));
  const RankProgram& rank = program.classes.front();
  std::vector<double> buckets;
  for (const Operation& operation : rank.operations) {
    if (operation.category == Category::kData) {
      buckets.push_back(program.communications[rank.communications[operation.first_communication].index()].size.value);
    }
  }
  REQUIRE(buckets.size() > 3);
  CHECK(buckets.front() == 1048576.0);
  for (std::size_t i = 1; i + 1 < buckets.size(); ++i) {
    CHECK(buckets[i] == 25.0 * 1048576.0);
  }
  CHECK(buckets.back() <= 25.0 * 1048576.0);
}

TEST_CASE("a distributed optimizer reduce-scatters gradients and gathers parameters, whenever it does") {
  for (const char* gather : {"after-update", "before-use"}) {
    for (const char* reduction : {"after-backward", "overlapped"}) {
      const std::string strategy = fmt::format(
          R"({{"strategy": "megatron", "gradient_reduction": "{}", "parameter_gather": "{}"}})", reduction, gather);
      CAPTURE(strategy);
      check_sizes(sizes_of(strategy, {"training.zero_stage=1"}), 0.0, kModel * parameters(), kGradient * parameters());
      check_sizes(sizes_of(strategy, {"training.zero_stage=0"}), kGradient * parameters(), 0.0, 0.0);
    }
  }
}

TEST_CASE("a distributed optimizer may sum all gradients everywhere") {
  check_sizes(sizes_of(R"({"strategy": "megatron", "shard_gradients": "all-reduce"})", {"training.zero_stage=1"}),
              kGradient * parameters(), kModel * parameters(), 0.0);
}

TEST_CASE("parameters in fp32 beside 16-bit activations are gathered in fp32") {
  const std::vector<std::string> changes = {"training.param_dtype=fp32", "training.grad_dtype=bf16"};
  const Sizes mixed = sizes_of(R"({"strategy": "fsdp", "outer_units": "root", "reshard_after_forward": false,
                                   "gradient_sync": "last-micro-batch"})",
                               changes);
  const Sizes narrow = sizes_of(R"({"strategy": "fsdp", "outer_units": "root", "reshard_after_forward": false,
                                    "gradient_sync": "last-micro-batch"})",
                                {"training.grad_dtype=bf16"});
  check_sizes(mixed, 0.0, 2.0 * narrow.all_gather, narrow.reduce_scatter);
}

TEST_CASE("ZeRO moves what its paper says: 2 parts for stages 0 to 2 and 3 for stage 3") {
  // Stage 2 keeps no unreduced gradients, so it reduces in every micro-batch.
  const std::string deepspeed =
      R"({"strategy": "deepspeed", "max_reuse_distance": 0, "param_persistence_threshold": 0})";
  check_sizes(sizes_of(deepspeed, {"training.zero_stage=0"}), kGradient * parameters(), 0.0, 0.0);
  check_sizes(sizes_of(deepspeed, {"training.zero_stage=1"}), 0.0, kModel * parameters(), kGradient * parameters());
  check_sizes(sizes_of(deepspeed, {"training.zero_stage=2"}), 0.0, kModel * parameters(),
              kMicroBatches * kGradient * parameters());
  // At the turn from forward to backward the head is used twice in a row; reuse distance 0 frees it nonetheless.
  check_sizes(sizes_of(deepspeed, {"training.zero_stage=3"}), 0.0, 2.0 * kMicroBatches * kModel * parameters(),
              kMicroBatches * kGradient * parameters());
  // With equal formats and one micro-batch a rank sends 2 or 3 times (d - 1) / d of the parameters' bytes.
  const std::vector<std::string> paper = {"training.global_batch=8", "training.grad_dtype=bf16"};
  for (const auto& [stage, parts] : std::map<int, double>{{0, 2.0}, {1, 2.0}, {2, 2.0}, {3, 3.0}}) {
    std::vector<std::string> changes = paper;
    changes.push_back(fmt::format("training.zero_stage={}", stage));
    const double shard = stage == 0 ? 1.0 : kRanks;
    CHECK(sent(sizes_of(deepspeed, changes), shard) ==
          doctest::Approx(parts * (kRanks - 1.0) / kRanks * kModel * parameters()).epsilon(1e-12));
  }
}

TEST_CASE("ZeRO 3 keeps small parameters whole and gathers them once, after the update") {
  // Two norms of 4096 in each of 32 layers; the last norm belongs to the head's large unit.
  const double small = 32.0 * 2.0 * 4096.0;
  const Sizes sizes = sizes_of(R"({"strategy": "deepspeed", "max_reuse_distance": 0})", {"training.zero_stage=3"});
  check_sizes(sizes, 0.0, kModel * (2.0 * kMicroBatches * (parameters() - small) + small),
              kMicroBatches * kGradient * parameters());
  // A threshold above every tensor of a layer leaves embedding and head to be gathered.
  const Sizes all =
      sizes_of(R"({"strategy": "deepspeed", "max_reuse_distance": 0, "param_persistence_threshold": 1e9})",
               {"training.zero_stage=3"});
  const double layers = parameters() - outer_parameters();
  CHECK(all.all_gather == doctest::Approx(kModel * (2.0 * kMicroBatches * outer_parameters() + layers)).epsilon(1e-12));
}

TEST_CASE("ZeRO 3 gathers less when parameters stay for their next use, never more than all and never less than once") {
  double before = 1e300;
  for (const double distance : {0.0, 1e8, 1e9, 1e10, 1e12}) {
    const Sizes sizes =
        sizes_of(fmt::format(R"({{"strategy": "deepspeed", "max_reuse_distance": {}, "max_live_parameters": 1e12,
                         "param_persistence_threshold": 0}})",
                             distance),
                 {"training.zero_stage=3"});
    CHECK(sizes.all_gather <= before);
    CHECK(sizes.all_gather >= kModel * parameters() * (1.0 - 1e-12));
    before = sizes.all_gather;
  }
  CHECK(before == doctest::Approx(kModel * parameters()).epsilon(1e-12));
}

TEST_CASE("FSDP gathers for forward and backward and scatters gradients, every micro-batch") {
  const std::string wrapped = R"({"strategy": "fsdp", "outer_units": "wrapped")";
  const double gradients = kMicroBatches * kGradient * parameters();
  check_sizes(sizes_of(wrapped + "}"), 0.0, 2.0 * kMicroBatches * kModel * parameters(), gradients);
  // Kept from forward to backward: one gather a micro-batch.
  check_sizes(sizes_of(wrapped + R"(, "reshard_after_forward": false})"), 0.0, kMicroBatches * kModel * parameters(),
              gradients);
  check_sizes(sizes_of(wrapped + R"(, "gradient_sync": "last-micro-batch"})"), 0.0,
              2.0 * kMicroBatches * kModel * parameters(), kGradient * parameters());
  // The root unit, embedding and head, stays gathered.
  check_sizes(sizes_of(R"({"strategy": "fsdp", "outer_units": "root"})"), 0.0,
              kMicroBatches * kModel * (2.0 * parameters() - outer_parameters()), gradients);
  // DOMAIN: three parts of (d - 1) / d of the parameters' bytes in one micro-batch.
  CHECK(sent(sizes_of(wrapped + "}", {"training.global_batch=8", "training.grad_dtype=bf16"}), kRanks) ==
        doctest::Approx(3.0 * (kRanks - 1.0) / kRanks * kModel * parameters()).epsilon(1e-12));
}

TEST_CASE("hybrid sharding sums the shards over the replicas") {
  const double shard = 4.0;
  const Sizes sizes = sizes_of(R"({"strategy": "hsdp", "outer_units": "wrapped"})", {"layout.hsdp_shard=4"});
  const double gradients = kMicroBatches * kGradient * parameters();
  check_sizes(sizes, gradients / shard, 2.0 * kMicroBatches * kModel * parameters(), gradients);
}

TEST_CASE("hybrid sharding keeps as many copies of the experts as of everything else") {
  // 16 ranks in two copies of 8: two experts a rank, and in each copy two ranks hold the same ones.
  const Scenario scenario = read_scenario(
      parse_json(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 16, "layout": {"ep": 4, "hsdp_shard": 8},
          "training": {"seq_len": 4096, "global_batch": 16, "grad_dtype": "fp32", "experts": {"routing": "uniform"},
                       "data_parallel": {"strategy": "hsdp", "outer_units": "wrapped"}}})",
                 "job.json"),
      "job.json");
  CHECK(scenario.layout.expert_dp() == 4);
  CHECK(scenario.layout.expert_shard() == 2);
  const Layout layout = make_layout(scenario);
  const ParameterShare& share = layout.stage_shares.front();
  double gathered = 0.0;
  double scattered = 0.0;
  double summed = 0.0;
  const Program program = program_of(scenario);
  for (const CommunicationId id : program.classes.front().communications) {
    const Communication& one = program.communications[id.index()];
    if (one.name.starts_with("expert shard")) {
      CHECK(one.groups.front() == std::vector<RankId>{{0}, {4}});
      (one.op == CollectiveOp::kAllGather ? gathered : scattered) += one.size.value;
    } else if (one.name.starts_with("expert replica")) {
      CHECK(one.groups.front() == std::vector<RankId>{{0}, {8}});
      summed += one.size.value;
    }
  }
  const auto experts = static_cast<double>(share.experts);
  CHECK(gathered == doctest::Approx(2.0 * kModel * experts));
  CHECK(scattered == doctest::Approx(kGradient * experts));
  CHECK(summed == doctest::Approx(kGradient * experts / 2.0));
}

TEST_CASE("hybrid sharding over all ranks is full sharding, and over one rank it sends DDP's bytes") {
  const std::string fsdp = R"({"strategy": "fsdp", "outer_units": "wrapped", "gradient_sync": "last-micro-batch"})";
  const std::string hsdp = R"({"strategy": "hsdp", "outer_units": "wrapped", "gradient_sync": "last-micro-batch"})";
  const Program full = program_of(scenario_of(fsdp));
  const Program over_all = program_of(scenario_of(hsdp, {"layout.hsdp_shard=8"}));
  REQUIRE(full.communications.size() == over_all.communications.size());
  for (std::size_t c = 0; c < full.communications.size(); ++c) {
    CHECK(full.communications[c].size == over_all.communications[c].size);
    CHECK(full.communications[c].op == over_all.communications[c].op);
    CHECK(full.communications[c].groups == over_all.communications[c].groups);
  }
  CHECK(full.classes.front().operations.size() == over_all.classes.front().operations.size());
  CHECK(sent(sizes_of(hsdp, {"layout.hsdp_shard=1"}), 1.0) == doctest::Approx(sent(sizes_of(R"("ddp")"), 1.0)));
}

TEST_CASE("one replica communicates with nobody, whatever the strategy") {
  for (const std::string& strategy : every_strategy()) {
    CAPTURE(strategy);
    const Program program = program_of(scenario_of(strategy, {"gpus=1", "training.global_batch=2"}));
    CHECK(program.classes.front().communications.empty());
  }
}

TEST_CASE("every strategy computes the same: with infinite bandwidths all take equal time") {
  std::optional<Seconds> expected;
  for (const std::string& strategy : every_strategy()) {
    CAPTURE(strategy);
    const Scenario scenario = scenario_of(strategy);
    const Seconds compute = compute_of(build_program(scenario, make_layout(scenario), Compute{}));
    CHECK(compute > Seconds{});
    CHECK(compute.value == doctest::Approx(expected.value_or(compute).value).epsilon(1e-12));
    expected = compute;
  }
}

TEST_CASE("a strategy refuses what it does not offer, and says what it does") {
  const auto pointer_of = [](const std::string& strategy, const std::vector<std::string>& changes) {
    try {
      scenario_of(strategy, changes);
    } catch (const UserError& error) {
      CHECK_FALSE(error.fault().allowed.empty());
      return error.fault().pointer;
    }
    return std::string("accepted");
  };
  CHECK(pointer_of(R"("zero")", {}) == "/training/data_parallel");
  CHECK(pointer_of(R"({"strategy": "ddp", "reduce_bucket_size": 1})", {}) ==
        "/training/data_parallel/reduce_bucket_size");
  CHECK(pointer_of(R"("ddp")", {"training.zero_stage=1"}) == "/training/zero_stage");
  CHECK(pointer_of(R"("megatron")", {"training.zero_stage=3"}) == "/training/zero_stage");
  CHECK(pointer_of(R"("fsdp")", {"training.zero_stage=1"}) == "/training/zero_stage");
  CHECK(pointer_of(R"({"strategy": "fsdp", "reshard_after_forward": true})", {"training.zero_stage=2"}) ==
        "/training/zero_stage");
  CHECK(pointer_of(R"("deepspeed")", {"training.zero_stage=2", "layout.pp=2"}) == "/training/zero_stage");
  CHECK(pointer_of(R"("hsdp")", {"layout.hsdp_shard=3"}) == "/layout/hsdp_shard");
  CHECK(pointer_of(R"("ddp")", {"layout.hsdp_shard=4"}) == "/layout/hsdp_shard");
}

TEST_CASE("a stage that the profile's strategy lacks is taken from one that has it") {
  const auto strategy_of = [](int stage) {
    Json document =
        parse_json(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "framework": "megatron-core"})", "job.json");
    set_key(document, fmt::format("training.zero_stage={}", stage));
    return read_scenario(document, "job.json").training.data_parallel.strategy;
  };
  CHECK(strategy_of(0) == DataParallelName::kMegatron);
  CHECK(strategy_of(1) == DataParallelName::kMegatron);
  CHECK(strategy_of(2) == DataParallelName::kDeepspeed);
  CHECK(strategy_of(3) == DataParallelName::kDeepspeed);
}

TEST_CASE("shard groups are consecutive data-parallel ranks, replica groups stand alike in them") {
  const Scenario scenario = scenario_of(R"("hsdp")", {"gpus=16", "layout.tp=2", "layout.hsdp_shard=4"});
  const Program program = program_of(scenario);
  for (const Communication& communication : program.communications) {
    if (communication.name.starts_with("shard")) {
      // tp 2 * dp 8: data-parallel ranks are two apart.
      CHECK(communication.groups.front() == std::vector<RankId>{{0}, {2}, {4}, {6}});
    } else if (communication.name.starts_with("replica")) {
      CHECK(communication.groups.front() == std::vector<RankId>{{0}, {8}});
    }
  }
}

}  // namespace test_data_parallel
