#include <doctest/doctest.h>
#include <fmt/format.h>
#include <rapidcheck.h>

#include <map>
#include <set>

#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"

using namespace trainyard;

namespace test_build_program {

namespace {

struct Built {
  Scenario scenario;
  Layout layout;
  Program program;
};

Built build(const std::string& text, std::initializer_list<std::string_view> changes = {}) {
  Json document = parse_json(text, "job.json");
  for (const std::string_view change : changes) {
    set_key(document, change);
  }
  Scenario scenario = read_scenario(document, "job.json");
  Layout layout = make_layout(scenario);
  Program program = build_program(scenario, layout, *calibrated_kernel_costs(scenario.gpu));
  return {std::move(scenario), std::move(layout), std::move(program)};
}

// Any small job: all schedules, profiles and ZeRO stages, tied and untied embeddings.
Built any_job() {
  const auto model = *rc::gen::element<std::string>("gpt2", "llama-2-7b");
  const auto schedule = *rc::gen::element<std::string>("1f1b", "gpipe", "interleaved");
  // Nanotron has one chunk per stage.
  const auto framework =
      schedule == "interleaved"
          ? *rc::gen::element<std::string>("megatron-lm-2022", "megatron-core", "megatron-deepspeed")
          : *rc::gen::element<std::string>("megatron-lm-2022", "megatron-core", "megatron-deepspeed", "nanotron");
  const auto tp = *rc::gen::element(1, 2, 4);
  const auto dp = *rc::gen::inRange(1, 4);
  const auto pp = *rc::gen::inRange(schedule == "interleaved" ? 2 : 1, 5);
  const auto vpp = schedule == "interleaved" ? *rc::gen::inRange(2, 4) : 1;
  const auto micro_batches = *rc::gen::inRange(1, 5) * (schedule == "interleaved" ? pp : 1);
  const auto zero = *rc::gen::inRange(0, 2);
  const auto recompute = *rc::gen::element<std::string>("none", "selective", "full");
  return build(fmt::format(
      R"({{"model": "{}", "cluster": "dgx-a100", "gpus": {}, "framework": "{}",
          "layout": {{"tp": {}, "pp": {}, "vpp": {}, "dp": {}}},
          "training": {{"global_batch": {}, "schedule": "{}", "zero_stage": {}, "recompute": "{}"}}}})",
      model, tp * pp * dp, framework, tp, pp, vpp, dp, micro_batches * dp, schedule, zero, recompute));
}

// How often a class calls each communication.
std::map<std::int32_t, int> calls_of(const RankProgram& program) {
  std::map<std::int32_t, int> calls;
  for (const Operation& operation : program.operations) {
    for (std::uint32_t i = 0; i < operation.communications; ++i) {
      ++calls[program.communications[operation.first_communication + i].value];
    }
  }
  return calls;
}

// Bytes of all calls of one class that its name and kind pick.
double bytes_of(const Program& program, std::size_t program_class, CollectiveOp op, Category category) {
  double bytes = 0.0;
  const RankProgram& rank = program.classes[program_class];
  for (const Operation& operation : rank.operations) {
    for (std::uint32_t i = 0; i < operation.communications; ++i) {
      const Communication& communication =
          program.communications[rank.communications[operation.first_communication + i].index()];
      if (operation.category == category && communication.op == op) {
        bytes += communication.size.value;
      }
    }
  }
  return bytes;
}

constexpr const char* kPipelined = R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32,
  "layout": {"tp": 2, "pp": 4, "dp": 4}, "training": {"global_batch": 32, "zero_stage": 0, "precision": "bf16",
  "grad_dtype": "bf16"}, "framework": "megatron-core"})";

}  // namespace

TEST_CASE("operations wait only for earlier ones, and only for those of other streams") {
  CHECK(rc::check([] {
    const Built job = any_job();
    for (const RankProgram& rank : job.program.classes) {
      for (std::size_t i = 0; i < rank.operations.size(); ++i) {
        const Operation& operation = rank.operations[i];
        RC_ASSERT(operation.first_wait + operation.waits <= rank.waits.size());
        RC_ASSERT(operation.first_communication + operation.communications <= rank.communications.size());
        RC_ASSERT((operation.kind == OperationKind::kCommunication) == (operation.communications > 0));
        for (std::uint32_t w = 0; w < operation.waits; ++w) {
          const std::size_t earlier = rank.waits[operation.first_wait + w].index();
          RC_ASSERT(earlier < i);
          RC_ASSERT(rank.operations[earlier].stream != operation.stream);
        }
      }
    }
  }));
}

TEST_CASE("every member of a communication calls it equally often, and nobody else does: what is sent is received") {
  CHECK(rc::check([] {
    const Built job = any_job();
    std::vector<std::map<std::int32_t, int>> calls;
    for (const RankProgram& rank : job.program.classes) {
      calls.push_back(calls_of(rank));
    }
    for (std::size_t c = 0; c < job.program.communications.size(); ++c) {
      const auto id = static_cast<std::int32_t>(c);
      std::set<RankId> members;
      std::set<std::size_t> classes;
      int expected = 0;
      int most = 0;
      for (const std::vector<RankId>& group : job.program.communications[c].groups) {
        for (const RankId rank : group) {
          RC_ASSERT(members.insert(rank).second);  // groups are disjoint
          const std::size_t program_class = job.program.class_of[rank.index()].index();
          classes.insert(program_class);
          const auto found = calls[program_class].find(id);
          const int count = found == calls[program_class].end() ? 0 : found->second;
          // Groups on different stages may differ in their numbers of calls; within a group they may not.
          if (rank != group.front()) {
            RC_ASSERT(count == expected);
          }
          expected = count;
          most = std::max(most, count);
        }
      }
      RC_ASSERT(most > 0);  // what nobody calls is not in the program
      // Every rank of a class that calls it is a member: classes share their program.
      for (std::size_t k = 0; k < calls.size(); ++k) {
        RC_ASSERT(!calls[k].contains(id) || classes.contains(k));
      }
      for (std::size_t r = 0; r < job.program.ranks(); ++r) {
        RC_ASSERT(members.contains(RankId::from(r)) == classes.contains(job.program.class_of[r].index()));
      }
    }
  }));
}

TEST_CASE("messages between stages carry the hidden states of every micro-batch once each way") {
  const Built job = build(kPipelined);
  // seq 2048 * hidden 2304 * 2 bytes, divided over tp 2 by sequence parallelism; 8 micro-batches.
  const double message = 2048.0 * 2304.0 * 2.0 / 2.0;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    // Inner stages send and receive activations and gradients; the first and last have one neighbour.
    const double boundaries = stage == 0 || stage == 3 ? 1.0 : 2.0;
    CHECK(bytes_of(job.program, stage, CollectiveOp::kSendRecv, Category::kPipeline) ==
          doctest::Approx(8.0 * message * 2.0 * boundaries));
  }
}

TEST_CASE("announced messages are preceded by small ones that both hosts wait for") {
  // Five announcements and the tensor for each of four activations, two and the tensor for each of four gradients; the
  // hosts wait once per announcement. A later announcement never overtakes a tensor: one tensor at a time.
  const Built built = build(R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 2, "framework": "nanotron",
      "layout": {"pp": 2}, "training": {"global_batch": 4}})");
  for (const RankProgram& rank : built.program.classes) {
    int small = 0;
    int tensors = 0;
    int waits = 0;
    for (const Operation& operation : rank.operations) {
      const std::string& name = built.program.names[static_cast<std::size_t>(operation.name)];
      small += name == "p2p announcement" ? 1 : 0;
      tensors += name.starts_with("p2p send") || name.starts_with("p2p receive") ? 1 : 0;
      waits += name == "wait for announcement" ? 1 : 0;
      CHECK(operation.communications <= 1);
    }
    CHECK(small == 4 * (5 + 2));
    CHECK(tensors == 8);
    CHECK(waits == small);
  }
}

TEST_CASE("gradient buckets add up to all gradients, however the reduction is cut") {
  CHECK(rc::check([] {
    const Built job = any_job();
    for (std::size_t stage = 0; stage < job.program.classes.size(); ++stage) {
      const double gradients = job.scenario.layout.dp == 1
                                   ? 0.0
                                   : bytes_per_element(job.scenario.training.grad_dtype).value *
                                         static_cast<double>(job.layout.stage_parameters[stage]);
      const CollectiveOp op =
          job.scenario.training.zero_stage == 1 &&
                  job.scenario.training.data_parallel.shard_gradients == ShardGradients::kReduceScatter
              ? CollectiveOp::kReduceScatter
              : CollectiveOp::kAllReduce;
      const double reduced = bytes_of(job.program, stage, op, Category::kData);
      RC_ASSERT(std::abs(reduced - gradients) <= 1e-9 * gradients);
    }
  }));
}

TEST_CASE("an overlapped reduction on the first stage has several buckets, each at least as large as asked") {
  const Built job = build(kPipelined, {"model=megatron-3.6b"});
  const double smallest = job.scenario.training.data_parallel.bucket_parameters * 2.0;  // bf16
  std::vector<double> buckets;
  const RankProgram& first = job.program.classes.front();
  for (const Operation& operation : first.operations) {
    if (operation.category == Category::kData) {
      buckets.push_back(
          job.program.communications[first.communications[operation.first_communication].index()].size.value);
    }
  }
  REQUIRE(buckets.size() >= 2);
  for (std::size_t i = 0; i + 1 < buckets.size(); ++i) {  // the last one takes what is left
    CHECK(buckets[i] >= smallest);
  }
}

TEST_CASE("sharding the optimizer moves as many bytes as reducing all gradients") {
  const Built plain = build(kPipelined);
  const Built sharded = build(kPipelined, {"training.zero_stage=1"});
  for (std::size_t stage = 0; stage < 4; ++stage) {
    // Of S bytes, a ring all-reduce over d ranks sends 2 (d - 1) / d S from each, a reduce-scatter and an all-gather
    // (d - 1) / d S each (ZeRO, arXiv 1910.02054, section 7.2.1), so equal sizes mean equal volumes.
    const double all_reduce = bytes_of(plain.program, stage, CollectiveOp::kAllReduce, Category::kData);
    CHECK(all_reduce > 0.0);
    CHECK(bytes_of(sharded.program, stage, CollectiveOp::kReduceScatter, Category::kData) ==
          doctest::Approx(all_reduce));
    CHECK(bytes_of(sharded.program, stage, CollectiveOp::kAllGather, Category::kData) == doctest::Approx(all_reduce));
    CHECK(bytes_of(sharded.program, stage, CollectiveOp::kAllReduce, Category::kData) == 0.0);
  }
}

TEST_CASE("a tied embedding's gradient is reduced between first and last stage, and only there") {
  const Built job = build(kPipelined);
  const double matrix = 2.0 * static_cast<double>(tied_embedding_parameters(job.scenario));
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const bool is_end = stage == 0 || stage == 3;
    CHECK(bytes_of(job.program, stage, CollectiveOp::kAllReduce, Category::kPipeline) == (is_end ? matrix : 0.0));
  }
}

TEST_CASE("ranks of one pipeline stage form one class") {
  const Built job = build(kPipelined);
  REQUIRE(job.program.classes.size() == 4);
  REQUIRE(job.program.ranks() == 32);
  for (std::size_t r = 0; r < 32; ++r) {
    CHECK(job.program.class_of[r].index() == r / 8);  // tp 2 * dp 4 ranks per stage in Megatron's order
  }
}

TEST_CASE("a job on one GPU communicates with nobody") {
  const Built job = build(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "framework": "megatron-core"})");
  REQUIRE(job.program.classes.size() == 1);
  CHECK(job.program.classes[0].communications.empty());
}

TEST_CASE("checked collectives cost the host more by every member; messages cost what they did") {
  constexpr const char* kJob = R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32,
      "layout": {"tp": 2, "pp": 4, "dp": 4}, "training": {"global_batch": 32}, "framework": "nanotron"})";
  const Built plain = build(kJob, {});
  const Built checked = build(kJob, {"training.distributed_debug=detail"});
  const Seconds check = checked.scenario.framework.host.collective_check;
  REQUIRE(check > Seconds{});
  for (std::size_t c = 0; c < plain.program.classes.size(); ++c) {
    const RankProgram& before = plain.program.classes[c];
    const RankProgram& after = checked.program.classes[c];
    REQUIRE(before.operations.size() == after.operations.size());
    for (std::size_t i = 0; i < before.operations.size(); ++i) {
      double members = 0.0;
      for (std::uint32_t k = 0; k < before.operations[i].communications; ++k) {
        const Communication& communication =
            plain.program.communications[before.communications[before.operations[i].first_communication + k].index()];
        members += communication.op == CollectiveOp::kSendRecv
                       ? 0.0
                       : static_cast<double>(communication.groups.front().size());
      }
      CHECK(after.operations[i].run.host.value - before.operations[i].run.host.value ==
            doctest::Approx(members * check.value));
    }
  }
}

}  // namespace test_build_program
