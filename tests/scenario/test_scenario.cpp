#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/scenario/set_key.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_scenario {

TEST_CASE("every key of the contract reaches the scenario") {
  const Json document = parse_json(R"({
    "model": "llama-2-7b", "cluster": "dgx-h100", "gpu": "h200", "gpus": 64,
    "layout": {"tp": 4, "pp": 2, "vpp": 2, "cp": 1, "ep": 1, "dp": 8, "sequence_parallel": true,
               "order": "tp-pp-dp-cp-ep"},
    "training": {"seq_len": 1024, "micro_batch": 2, "global_batch": 128, "precision": "fp16", "optimizer": "sgd",
                 "recompute": "full", "zero_stage": 1, "schedule": "interleaved", "grad_dtype": "bf16"},
    "framework": "megatron-core", "network": "analytic", "fold": false, "seed": 7})",
                                   "job.json");
  const Scenario scenario = read_scenario(document, "job.json");
  CHECK(scenario.model.name == "llama-2-7b");
  CHECK(scenario.cluster.name == "dgx-h100");
  CHECK(scenario.gpu.name == "h200");  // instead of the cluster's own
  CHECK(scenario.gpus == 64);
  CHECK(scenario.layout.tp == 4);
  CHECK(scenario.layout.pp == 2);
  CHECK(scenario.layout.vpp == 2);
  CHECK(scenario.layout.cp == 1);
  CHECK(scenario.layout.ep == 1);
  CHECK(scenario.layout.dp == 8);
  CHECK(scenario.layout.sequence_parallel == SequenceParallel::kOn);
  CHECK(scenario.layout.order == "tp-pp-dp-cp-ep");
  CHECK(scenario.training.seq_len == 1024);
  CHECK(scenario.training.micro_batch == 2);
  CHECK(scenario.training.global_batch == 128);
  CHECK(scenario.training.precision == Precision::kFp16);
  CHECK(scenario.training.optimizer == Optimizer::kSgd);
  CHECK(scenario.training.recompute == Recompute::kFull);
  CHECK(scenario.training.zero_stage == 1);
  CHECK(scenario.training.schedule == ScheduleName::kInterleaved);
  CHECK(scenario.training.grad_dtype == Precision::kBf16);
  CHECK(scenario.framework.name == "megatron-core");
  CHECK(scenario.network == Network::kAnalytic);
  CHECK(scenario.fold == Fold::kOff);
  CHECK(scenario.seed == 7);
  CHECK(scenario.micro_batches() == 8);  // 128 sequences in micro-batches of 2 over 8 replicas
}

TEST_CASE("what is not given follows from the model, the GPUs and the framework, and the resolved document says so") {
  const Json document = parse_json(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 16, "layout": {"tp": 2},
                                       "framework": "megatron-lm-2022"})",
                                   "job.json");
  const Json resolved = read_scenario(document, "job.json").resolved;
  const FrameworkProfile framework = load_framework("megatron-lm-2022");
  CHECK(resolved["gpu"] == "a100-80");  // of the cluster
  CHECK(resolved["layout"]["pp"] == 1);
  CHECK(resolved["layout"]["vpp"] == 1);
  CHECK(resolved["layout"]["cp"] == 1);
  CHECK(resolved["layout"]["ep"] == 1);
  CHECK(resolved["layout"]["dp"] == 8);  // 16 GPUs / tp 2
  CHECK(resolved["layout"]["order"] == "tp-cp-ep-dp-pp");
  CHECK(resolved["layout"]["sequence_parallel"] == (framework.default_sequence_parallel == SequenceParallel::kOn));
  CHECK(resolved["training"]["seq_len"] == 1024);  // GPT-2's positions
  CHECK(resolved["training"]["micro_batch"] == 1);
  CHECK(resolved["training"]["global_batch"] == 8);  // one micro-batch on every replica
  CHECK(resolved["training"]["precision"] == kPrecisionNames.name_of(framework.default_precision));
  CHECK(resolved["training"]["grad_dtype"] == kPrecisionNames.name_of(framework.default_grad_dtype));
  CHECK(resolved["training"]["recompute"] == kRecomputeNames.name_of(framework.default_recompute));
  CHECK(resolved["training"]["zero_stage"] == framework.default_zero_stage);
  CHECK(resolved["training"]["optimizer"] == "adam");
  CHECK(resolved["training"]["schedule"] == "1f1b");
  CHECK(resolved["framework"] == "megatron-lm-2022");
  CHECK(resolved["network"] == "flow");
  CHECK(resolved["fold"] == true);
  CHECK(resolved["seed"] == 0);
}

TEST_CASE("the resolved document is a scenario that resolves to itself") {
  for (const Json& document : {main_job(), main_job_with({"layout.vpp=3", "network=analytic"}),
                               main_job_with({"framework=megatron-core", "training.recompute=selective"})}) {
    const Json resolved = read_scenario(document, "job.json").resolved;
    CHECK(read_scenario(resolved, "resolved.json").resolved == resolved);
  }
}

TEST_CASE("several chunks per stage mean the interleaved schedule, and tp 1 has nothing to shard sequences over") {
  CHECK(read_scenario(main_job_with({"layout.vpp=2"}), "job.json").training.schedule == ScheduleName::kInterleaved);
  const Scenario one = read_scenario(
      parse_json(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "layout": {"sequence_parallel": true}})", "j"),
      "j");
  CHECK(one.layout.sequence_parallel == SequenceParallel::kOff);
}

TEST_CASE("model and cluster may be written out instead of named") {
  Json document = main_job();
  document["cluster"] = load_cluster("dgx-a100").document;
  document["model"] = {{"family", "gpt"}, {"layers", 4},   {"hidden", 512}, {"heads", 8},
                       {"ffn", 2048},     {"vocab", 1000}, {"seq_len", 64}};
  document["layout"] = {{"tp", 8}, {"pp", 2}};
  document["training"]["global_batch"] = 64;
  const Scenario scenario = read_scenario(document, "job.json");
  CHECK(scenario.model.layers == 4);
  CHECK(scenario.cluster.gpu == "a100-80");
  CHECK(scenario.layout.dp == 64);
  CHECK(scenario.resolved["model"] == document["model"]);
}

TEST_CASE("an unknown key is refused where it stands, with the nearest valid name") {
  struct Unknown {
    std::string_view assignment;
    std::string pointer;
    std::string nearest;
  };
  for (const auto& [assignment, pointer, nearest] :
       {Unknown{"modle=gpt2", "/modle", "model"}, Unknown{"layout.ttp=8", "/layout/ttp", "tp"},
        Unknown{"training.global_batches=8", "/training/global_batches", "global_batch"}}) {
    const auto fault = refusal(main_job_with({assignment}));
    REQUIRE(fault);
    CHECK(fault->file == "job.json");
    CHECK(fault->pointer == pointer);
    CHECK(fault->nearest == nearest);
    CHECK(fault->allowed.find(nearest) != std::string::npos);
  }
}

TEST_CASE("an unknown name is refused where it stands, with the nearest valid name") {
  struct Unknown {
    std::string_view assignment;
    std::string pointer;
    std::string nearest;
  };
  for (const auto& [assignment, pointer, nearest] :
       {Unknown{"model=gpt3-175", "/model", "gpt3-175b"}, Unknown{"cluster=dgx-a10", "/cluster", "dgx-a100"},
        Unknown{"gpu=a100-8", "/gpu", "a100-80"}, Unknown{"framework=megatron-cor", "/framework", "megatron-core"},
        Unknown{"network=flows", "/network", "flow"}, Unknown{"training.precision=bf61", "/training/precision", "bf16"},
        Unknown{"training.grad_dtype=fp23", "/training/grad_dtype", "fp32"},
        Unknown{"training.optimizer=adma", "/training/optimizer", "adam"},
        Unknown{"training.recompute=ful", "/training/recompute", "full"},
        Unknown{"training.schedule=1f1", "/training/schedule", "1f1b"}}) {
    const auto fault = refusal(main_job_with({assignment}));
    REQUIRE(fault);
    CHECK(fault->pointer == pointer);
    CHECK(fault->nearest == nearest);
    CHECK_FALSE(fault->allowed.empty());
  }
}

TEST_CASE("a value of the wrong kind or out of range is refused where it stands") {
  struct Wrong {
    std::string_view assignment;
    std::string pointer;
  };
  for (const auto& [assignment, pointer] :
       std::vector<Wrong>{{"gpus=0", "/gpus"},
                          {"gpus=-8", "/gpus"},
                          {"gpus=8.5", "/gpus"},
                          {"gpus=1e30", "/gpus"},
                          {"gpus=many", "/gpus"},
                          {"layout=8", "/layout"},
                          {"layout.tp=0", "/layout/tp"},
                          {"layout.pp=-1", "/layout/pp"},
                          {"layout.vpp=0", "/layout/vpp"},
                          {"layout.cp=0", "/layout/cp"},
                          {"layout.ep=0", "/layout/ep"},
                          {"layout.dp=1e30", "/layout/dp"},
                          {"layout.sequence_parallel=1", "/layout/sequence_parallel"},
                          {"layout.order=5", "/layout/order"},
                          {"training=[]", "/training"},
                          {"training.seq_len=0", "/training/seq_len"},
                          {"training.seq_len=1e30", "/training/seq_len"},
                          {"training.micro_batch=-1", "/training/micro_batch"},
                          {"training.global_batch=0", "/training/global_batch"},
                          {"training.zero_stage=4", "/training/zero_stage"},
                          {"training.precision=16", "/training/precision"},
                          {"fold=yes", "/fold"},
                          {"seed=-1", "/seed"},
                          {"seed=0.5", "/seed"},
                          {"model=175", "/model"},
                          {"cluster=null", "/cluster"}}) {
    const auto fault = refusal(main_job_with({assignment}));
    REQUIRE(fault);
    CHECK(fault->pointer == pointer);
    CHECK_FALSE(fault->problem.empty());
  }
}

TEST_CASE("values that do not go together are refused with what is allowed and a remedy") {
  struct Impossible {
    std::vector<std::string_view> assignments;
    std::string pointer;
  };
  for (const auto& [assignments, pointer] : std::vector<Impossible>{
           {{"layout.cp=16", "layout.dp=1", "training.seq_len=2040"}, "/layout/cp"},  // 2 * 16 pieces of a sequence
           {{"layout.cp=16", "layout.dp=1", "layout.cp_type=ulysses"}, "/layout/cp_type"},  // 12 heads on a rank
           {{"layout.cp=16", "layout.dp=1", "layout.cp_type=hierarchical", "layout.cp_inner=3"}, "/layout/cp_inner"},
           {{"layout.cp=16", "layout.dp=1", "layout.cp_type=hierarchical"}, "/layout/cp_inner"},  // groups of one
           {{"model=mixtral-8x7b", "layout.ep=3"}, "/layout/ep"},                                 // 8 experts
           {{"model=mixtral-8x7b", "layout.ep=8", "layout.sequence_parallel=true", "layout.order=tp-cp-ep-pp-dp"},
            "/layout/order"},
           {{"layout.ep=2"}, "/layout/ep"},
           {{"layout.dp=15"}, "/layout"},                               // 8 * 8 * 15 != 1024
           {{"layout.tp=5", "layout.dp=null"}, "/layout"},              // 5 * 8 does not divide 1024
           {{"layout.tp=64", "layout.dp=2"}, "/layout/tp"},             // GPT-3 has 96 heads
           {{"layout.pp=128", "layout.dp=1"}, "/layout/pp"},            // and 96 layers
           {{"layout.vpp=16"}, "/layout/pp"},                           // 8 * 16 chunks for 96 layers
           {{"layout.order=tp-dp-pp"}, "/layout/order"},                // cp and ep are missing
           {{"layout.order=tp-tp-ep-dp-pp"}, "/layout/order"},          // tp twice
           {{"layout.order=tp-cp-ep-dp-pp-"}, "/layout/order"},         // an empty name
           {{"training.global_batch=1000"}, "/training/global_batch"},  // not a multiple of 16
           {{"training.zero_stage=2"}, "/training/zero_stage"},
           {{"training.schedule=interleaved"}, "/training/schedule"},                  // with one chunk per stage
           {{"layout.vpp=2", "training.global_batch=192"}, "/training/global_batch"},  // 12 micro-batches, pp 8
           {{"layout.vpp=2", "training.schedule=1f1b"}, "/layout/vpp"},
           {{"training.seq_len=4096"}, "/training/seq_len"}}) {  // GPT-3 has 2048 learned positions
    Json document = main_job();
    for (const std::string_view assignment : assignments) {
      set_key(document, assignment);
    }
    const auto fault = refusal(document);
    REQUIRE(fault);
    CHECK(fault->pointer == pointer);
    CHECK_FALSE(fault->found.empty());
    CHECK_FALSE(fault->allowed.empty());
    CHECK_FALSE(fault->remedy.empty());
  }
  CHECK_FALSE(refusal(main_job()));  // the job they all started from is fine
}

TEST_CASE("positions that are not learned have no end") {
  const Scenario scenario = read_scenario(
      parse_json(R"({"model": "llama-2-7b", "cluster": "dgx-a100", "gpus": 8, "training": {"seq_len": 131072}})",
                 "job.json"),
      "job.json");
  CHECK(scenario.training.seq_len == 131072);  // the model was trained on 4096
}

TEST_CASE("a key of the scenario is set by its path, as JSON where the value is JSON and as text otherwise") {
  Json document = Json::object();
  set_key(document, "gpus=8");
  set_key(document, "layout.tp=2");
  set_key(document, "layout.sequence_parallel=true");
  set_key(document, "model=gpt2");
  set_key(document, "framework=\"megatron-core\"");
  set_key(document, "training.note=a=b");
  CHECK(document == Json::parse(R"({"gpus": 8, "layout": {"tp": 2, "sequence_parallel": true}, "model": "gpt2",
                                    "framework": "megatron-core", "training": {"note": "a=b"}})"));
  set_key(document, "layout.tp=4");
  CHECK(document["layout"]["tp"] == 4);
}

TEST_CASE("what is no assignment is refused as such") {
  Json document = main_job();
  for (const std::string_view assignment : {"gpus", "=8", "model.layers=8"}) {
    try {
      set_key(document, assignment);
      FAIL("accepted");
    } catch (const UserError& error) {
      CHECK(error.code() == ExitCode::kBadInput);
      CHECK(error.fault().file == "--set");
      CHECK(error.fault().found == assignment);
    }
  }
  CHECK(document == main_job());
}

TEST_CASE("stage contents, message exchange and micro-batch groups reach the scenario and its echo") {
  const Scenario scenario =
      read_scenario(main_job_with({"layout.vpp=2", "layout.layers_per_stage=[3,6,6,6,6,6,6,6,6,6,6,6,6,6,6,9]",
                                   "training.schedule=interleaved", "training.p2p=overlapped-warmup-flush",
                                   "training.micro_batch_group=12"}),
                    "job.json");
  CHECK(scenario.layout.layers_per_stage.front() == 3);
  CHECK(scenario.layout.layers_per_stage.size() == 16);
  CHECK(scenario.framework.exchange == PipelineExchange::kOverlappedThroughout);
  CHECK(scenario.training.micro_batch_group == 12);
  CHECK(scenario.resolved["layout"]["layers_per_stage"].size() == 16);
  CHECK(scenario.resolved["training"]["p2p"] == "overlapped-warmup-flush");
  CHECK(scenario.resolved["training"]["micro_batch_group"] == 12);
  // Without them the profile's exchange holds, and what is not used is not echoed.
  const Scenario plain = read_scenario(main_job(), "job.json");
  CHECK(plain.framework.exchange == PipelineExchange::kBatchedSync);
  CHECK_FALSE(plain.resolved["layout"].contains("layers_per_stage"));
  CHECK_FALSE(plain.resolved["training"].contains("micro_batch_group"));
}

TEST_CASE("stage contents, message exchange and micro-batch groups that cannot be are refused at their key") {
  const auto pointer = [](std::initializer_list<std::string_view> assignments) {
    const auto fault = refusal(main_job_with(assignments));
    REQUIRE(fault.has_value());
    CHECK_FALSE(fault->allowed.empty());
    return fault->pointer;
  };
  CHECK(pointer({"training.p2p=eager"}) == "/training/p2p");
  CHECK(pointer({"training.micro_batch_group=8"}) == "/training/micro_batch_group");  // not interleaved
  CHECK(pointer({"layout.vpp=2", "training.schedule=interleaved", "training.micro_batch_group=4"}) ==
        "/training/micro_batch_group");  // fewer than stages
  CHECK(pointer({"layout.vpp=2", "training.schedule=interleaved", "training.micro_batch_group=13"}) ==
        "/training/micro_batch_group");  // 96 leave a last group of 5
  CHECK(pointer({"layout.layers_per_stage=[96]"}) == "/layout/layers_per_stage");
  CHECK(pointer({"layout.layers_per_stage=[12,12,12,12,12,12,12,11]"}) == "/layout/layers_per_stage");
  CHECK(pointer({"layout.layers_per_stage=[12,12,12,12,12,12,12,12]", "layout.loss=standalone"}) ==
        "/layout/layers_per_stage");
  // Stages cut by cost place their layers themselves.
  CHECK(pointer({"framework=nanotron", "layout.loss=standalone"}) == "/layout/loss");
  CHECK(pointer({"framework=nanotron", "layout.layers_per_stage=[12,12,12,12,12,12,12,12]"}) ==
        "/layout/layers_per_stage");
}

TEST_CASE("embedding and loss that count as layers may be all that their virtual stages hold") {
  // 94 layers and two ends on 32 stages of three chunks: one of 96 on each.
  const std::string ends = R"("embedding": "as-layer", "loss": "as-layer")";
  const auto asked = [](const std::string& layout) {
    return parse_json(R"({"model": "qwen3-235b-a22b", "cluster": "dgx-h100", "gpus": 256,
                          "layout": {"tp": 4, "pp": 32, "vpp": 3, )" +
                          layout + R"(}, "training": {"global_batch": 64}})",
                      "job.json");
  };
  const Scenario scenario = read_scenario(asked(ends), "job.json");
  CHECK(scenario.model.layers == 94);
  CHECK(scenario.layout.pp * scenario.layout.vpp == 96);
  const auto fault = refusal(asked(R"("loss": "as-layer")"));  // 95 for 96
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/layout/pp");
}

TEST_CASE("a job read in two parts is the scenario read at once") {
  const Json document = main_job_with({"layout.vpp=2", "training.recompute=full"});
  const Scenario whole = read_scenario(document, "job.json");
  const Scenario job = read_job(main_job_with({}), "job.json");
  Scenario laid_out = lay_out(job, document, "job.json");
  CHECK(laid_out.resolved.empty());
  describe(laid_out, document, "job.json");
  CHECK(laid_out.resolved == whole.resolved);
  CHECK(laid_out.notes == whole.notes);
}

namespace {

Json experts_job(std::initializer_list<std::string_view> assignments) {
  Json document = parse_json(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 16,
      "layout": {"ep": 8}, "training": {"seq_len": 4096, "global_batch": 64, "recompute": "none"},
      "framework": "megatron-core"})",
                             "job.json");
  for (const std::string_view assignment : assignments) {
    set_key(document, assignment);
  }
  return document;
}

std::string refused_pointer(const Json& document) {
  const auto fault = refusal(document);
  return fault ? fault->pointer : "accepted";
}

}  // namespace

TEST_CASE("experts beside tensor parallelism need sequence parallelism") {
  CHECK(refused_pointer(experts_job({"layout.tp=2", "layout.sequence_parallel=false"})) == "/layout/sequence_parallel");
  CHECK(refused_pointer(experts_job({"layout.tp=2", "layout.etp=1"})) == "accepted");
}

TEST_CASE("sliding windows do not go round a ring") {
  Json document = parse_json(R"({"model": "gemma-2-2b", "cluster": "dgx-h100", "gpus": 8, "layout": {"cp": 2},
      "training": {"seq_len": 8192, "global_batch": 8}})",
                             "job.json");
  CHECK(refused_pointer(document) == "/layout/cp_type");
  set_key(document, "layout.cp_type=all_gather");
  CHECK(refused_pointer(document) == "accepted");
  // A window that sees the whole sequence is none.
  set_key(document, "layout.cp_type=ring");
  set_key(document, "training.seq_len=4096");
  CHECK(refused_pointer(document) == "accepted");
}

TEST_CASE("every copy of a hybrid-sharded model has all experts") {
  CHECK(refused_pointer(experts_job({"training.data_parallel=hsdp", "layout.hsdp_shard=8"})) == "accepted");
  CHECK(refused_pointer(experts_job({"training.data_parallel=hsdp", "layout.hsdp_shard=4"})) == "/layout/hsdp_shard");
}

TEST_CASE("exchanges with experts overlap where two passes are joined") {
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true"})) == "accepted");
  const Scenario scenario = read_scenario(experts_job({"layout.ep_overlap=true"}), "job.json");
  CHECK(scenario.layout.ep_overlap == ExpertOverlap::kOn);
  CHECK(scenario.resolved["layout"]["ep_overlap"] == true);
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "layout.pp=2"})) == "/layout/ep_overlap");
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "layout.pp=2", "layout.vpp=2"})) == "accepted");
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "layout.ep=1"})) == "/layout/ep_overlap");
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "training.recompute=full"})) == "/layout/ep_overlap");
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "training.data_parallel=fsdp"})) ==
        "/layout/ep_overlap");
  CHECK(refused_pointer(experts_job({"layout.ep_overlap=true", "training.experts.dispatcher=all_gather"})) ==
        "/layout/ep_overlap");
}

}  // namespace test_scenario
