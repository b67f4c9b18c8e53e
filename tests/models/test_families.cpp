// Parameters and FLOPs of the families beyond GPT, Llama and BERT.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_families {

TEST_CASE("parameter counts of every family are those of the published checkpoints, to the last digit") {
  struct Golden {
    const char* name;
    std::int64_t parameters;
  };
  // Sums over the weight shapes that the Hub's config.json and the model's class in huggingface/transformers define;
  // they equal the totals stated on the Hub's pages, of mixtral-8x7b and deepseek-v3 also in the test of the FLOPs. Of
  // the Gemma 3 models with an image encoder the Hub counts 416 866 032 for the encoder and 1152 x (hidden + 1) for the
  // projector on top (4 300 079 472, 12 187 325 040 and 27 432 406 640).
  for (const Golden& golden : {Golden{"mixtral-8x7b", 46'702'792'704},
                               {"mixtral-8x22b", 140'620'634'112},
                               {"qwen2-0.5b", 494'032'768},
                               {"qwen2-1.5b", 1'543'714'304},
                               {"qwen2-72b", 72'706'203'648},
                               {"qwen2.5-3b", 3'085'938'688},
                               {"qwen2.5-14b", 14'770'033'664},
                               {"qwen2.5-32b", 32'763'876'352},
                               {"qwen1.5-moe-a2.7b", 14'315'784'192},
                               {"qwen2-57b-a14b", 57'408'658'944},
                               {"qwen3-0.6b", 596'049'920},
                               {"qwen3-1.7b", 1'720'574'976},
                               {"qwen3-4b", 4'022'468'096},
                               {"qwen3-8b", 8'190'735'360},
                               {"qwen3-14b", 14'768'307'200},
                               {"qwen3-32b", 32'762'123'264},
                               {"qwen3-30b-a3b", 30'532'122'624},
                               {"qwen3-235b-a22b", 235'093'634'560},
                               {"deepseek-v2-lite", 15'706'484'224},
                               {"deepseek-v2", 235'741'434'880},
                               {"deepseek-v3", 671'026'419'200},
                               {"gemma-2b", 2'506'172'416},
                               {"gemma-7b", 8'537'680'896},
                               {"gemma-2-2b", 2'614'341'888},
                               {"gemma-2-9b", 9'241'705'984},
                               {"gemma-2-27b", 27'227'128'320},
                               {"gemma-3-1b", 999'885'952},
                               {"gemma-3-4b", 4'300'079'472 - 416'866'032 - 1152L * 2561},
                               {"gemma-3-12b", 12'187'325'040 - 416'866'032 - 1152L * 3841},
                               {"gemma-3-27b", 27'432'406'640 - 416'866'032 - 1152L * 5377},
                               {"gpt-oss-20b", 20'914'757'184},
                               {"gpt-oss-120b", 116'829'156'672},
                               {"t5-small", 60'506'624},
                               {"t5-base", 222'903'552},
                               {"t5-large", 737'668'096},
                               {"t5-3b", 2'851'598'336},
                               {"t5-11b", 11'307'321'344},
                               {"t5-v1.1-base", 247'577'856},
                               {"t5-v1.1-xl", 2'849'757'184},
                               {"t5-v1.1-xxl", 11'135'332'352},
                               {"vit-b-16", 86'567'656},
                               {"vit-l-16", 304'326'632},
                               {"vit-h-14", 632'045'800},
                               {"mpt-7b", 6'649'286'656},
                               {"mpt-30b", 29'957'200'896},
                               {"bloom-560m", 559'214'592},
                               {"bloom-1b1", 1'065'314'304},
                               {"bloom-1b7", 1'722'408'960},
                               {"bloom-3b", 3'002'557'440},
                               {"bloom-7b1", 7'069'016'064},
                               {"bloom-176b", 176'247'271'424},
                               {"internlm-7b", 7'321'948'160},
                               {"internlm2-7b", 7'737'708'544},
                               {"internlm2-20b", 19'861'149'696}}) {
    CAPTURE(golden.name);
    CHECK(parameters(load_model(golden.name)) == golden.parameters);
  }
}

TEST_CASE("a module of multi-token prediction of DeepSeek-V3 is a layer, a projection and three norms") {
  // arXiv 2412.19437 and the Hub's page: 14 B for the module with its copies of embedding and output matrix. Layer:
  // latent attention 187 107 328, two norms, 256 experts and a shared one of 3 x 7168 x 2048, router with correction;
  // projection 2 x 7168^2; three norms of 7168.
  const ModelSpec model = load_model("deepseek-v3");
  const std::int64_t layer = 187'107'328 + 2 * 7168LL + 257 * 3 * 7168LL * 2048 + 256 * 7169LL;
  CHECK(prediction_parameters(model) == layer + 2 * 7168LL * 7168 + 3 * 7168LL);
  const std::int64_t copies = 2 * 129'280LL * 7168;
  CHECK(static_cast<double>(prediction_parameters(model) + copies) == doctest::Approx(13.46e9).epsilon(0.005));
  CHECK(prediction_parameters(load_model("llama-3-8b")) == 0);
}

TEST_CASE("FLOPs per token count the parameters that a token meets, and attention by its mask") {
  // Mixtral 8x7B: 12 879 925 248 active parameters as published, less the input embedding and the norms, which multiply
  // nothing: (65 norms + 32000 rows) x 4096. Attention 6 L a d s of 32 layers.
  const double mixtral = 6.0 * (12'879'925'248.0 - (65.0 + 32000.0) * 4096.0) + 6.0 * 32 * 4096 * 8192.0;
  CHECK(flops_per_token(load_model("mixtral-8x7b"), 8192).value == doctest::Approx(mixtral).epsilon(1e-12));
  // A window of 4096 in 8192 positions lets 4096 - 4096^2 / 16384 = 3072 keys through on average instead of 4096.
  const ModelSpec windowed = load_model("mistral-7b");
  ModelSpec all = windowed;
  all.window = 0;
  CHECK(flops_per_token(all, 8192).value - flops_per_token(windowed, 8192).value ==
        doctest::Approx(12.0 * 32 * 4096 * (4096.0 - 3072.0)).epsilon(1e-9));
  CHECK(flops_per_token(all, 4096).value == flops_per_token(windowed, 4096).value);
  // DeepSeek-V3 without its prediction module: 37.55 B active with both embeddings.
  ModelSpec deepseek = load_model("deepseek-v3");
  deepseek.predicted_tokens = 0;
  const double attention = 3.0 * 61 * 128 * (192.0 + 128.0) * 4096;
  CHECK((flops_per_token(deepseek, 4096).value - attention) / 6.0 + 129280.0 * 7168.0 ==
        doctest::Approx(37.55e9).epsilon(1e-3));
}

namespace {

struct Executed {
  double flops = 0.0;
  double attention_forward = 0.0;
};

void add(Executed& executed, const std::vector<Operator>& list, double times) {
  executed.flops += times * executed_flops(list).value;
  for (const Operator& op : list) {
    const auto* attention = std::get_if<Attention>(&op.work);
    if (attention != nullptr && attention->direction == Direction::kForward) {
      executed.attention_forward += times * attention->flops().value;
    }
  }
}

// Of one micro-batch on one rank.
Executed execute(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  Executed executed;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const LayerKind kind = layer_kind(model, layer);
    add(executed, layer_forward(model, kind, shape, options), 1.0);
    add(executed, layer_backward(model, kind, shape, options), 1.0);
  }
  add(executed, embedding_forward(model, shape, options), 1.0);
  add(executed, embedding_backward(model, shape, options), 1.0);
  add(executed, head_forward(model, shape, options), 1.0);
  add(executed, head_backward(model, shape, options), 1.0);
  return executed;
}

// Model FLOPs and what flash attention's backward computes again: half a forward. Pixels need no gradient, so the
// projection of patches and a network's first layer go without a third of their count.
double expected(const ModelSpec& model, const ShardShape& shape, const Executed& executed) {
  if (model.network) {
    const auto first = layer_forward(model, layer_kind(model, 0), shape, {});
    const auto multiplies = [](const Operator& op) { return executed_flops(std::span(&op, 1)).value > 0.0; };
    const auto found = std::find_if(first.begin(), first.end(), multiplies);
    return flops_per_token(model, 1).value * static_cast<double>(shape.micro_batch) -
           executed_flops(std::span(&*found, 1)).value;
  }
  const auto tokens = static_cast<double>(shape.micro_batch * shape.seq_len);
  double flops = flops_per_token(model, shape.seq_len).value * tokens + 0.5 * executed.attention_forward;
  if (model.vision) {
    flops -=
        2.0 * static_cast<double>(shape.micro_batch * (shape.seq_len - 1) * model.vision->patch_inputs * model.hidden);
  }
  return flops;
}

}  // namespace

TEST_CASE(
    "every catalogue model executes its FLOPs per token, beside what flash attention recomputes and BERT's heads") {
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const ModelSpec model = load_model(name);
    if (model.pooler_and_mlm_head == Presence::kPresent) {
      continue;
    }
    const ShardShape shape{.micro_batch = 2, .seq_len = std::min<std::int64_t>(model.seq_len, 8192)};
    for (const OperatorOptions& options :
         {OperatorOptions{}, OperatorOptions{.merged_projections = Fusion::kOff, .grouped_gemm = Fusion::kOff}}) {
      const Executed executed = execute(model, shape, options);
      CHECK(executed.flops == doctest::Approx(expected(model, shape, executed)).epsilon(1e-12));
    }
  }
}

TEST_CASE("tensor, context and expert parallelism divide the FLOPs among the ranks, and lose none") {
  for (const char* name : {"mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-20b", "qwen1.5-moe-a2.7b"}) {
    ModelSpec model = load_model(name);
    model.window = 0;  // a ring knows no windows
    for (const ContextParallel context : {ContextParallel::kRing, ContextParallel::kAllGather,
                                          ContextParallel::kUlysses, ContextParallel::kHierarchical}) {
      for (const TokenDispatcher dispatcher :
           {TokenDispatcher::kAllToAll, TokenDispatcher::kAllGather, TokenDispatcher::kDeepEp}) {
        CAPTURE(name);
        CAPTURE(kContextParallelNames.name_of(context));
        CAPTURE(kTokenDispatcherNames.name_of(dispatcher));
        const ShardShape shape{.micro_batch = 1,
                               .seq_len = 8192,
                               .tp = 2,
                               .sequence_parallel = SequenceParallel::kOn,
                               .cp = 4,
                               .context_parallel = context,
                               .context_inner = 2,
                               .ep = 4,
                               .expert_tp = 2,
                               .dispatcher = dispatcher};
        for (const TensorOverlap chunked : {TensorOverlap::kOff, TensorOverlap::kOn}) {
          const Executed executed = execute(model, shape, {.chunked_tensor_collectives = chunked});
          const double ranks = 8.0;
          Executed all = executed;
          all.attention_forward *= ranks;
          CHECK(ranks * executed.flops == doctest::Approx(expected(model, shape, all)).epsilon(1e-12));
        }
      }
    }
  }
}

}  // namespace test_families
