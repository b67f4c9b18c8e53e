#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "models/load_model.hpp"
#include "models/model.hpp"

using namespace trainyard;

namespace test_parameters {

TEST_CASE("parameter counts are the published ones, to the last digit") {
  struct Golden {
    const char* name;
    std::int64_t parameters;
  };
  // The first eight and bert: sums over the weight shapes of the published checkpoints. The others are the totals that
  // the Hugging Face pages state for the same checkpoints.
  for (const Golden& golden : {Golden{"gpt2", 124'439'808},
                               {"gpt2-medium", 354'823'168},
                               {"gpt2-large", 774'030'080},
                               {"gpt2-xl", 1'557'611'200},
                               {"gpt3-175b", 174'615'846'912},
                               {"llama-2-7b", 6'738'415'616},
                               {"llama-2-13b", 13'015'864'320},
                               {"llama-2-70b", 68'976'648'192},
                               {"llama-3-8b", 8'030'261'248},
                               {"llama-3-70b", 70'553'706'496},
                               {"llama-3-405b", 405'853'388'800},
                               {"mistral-7b", 7'241'732'096},
                               {"qwen2-7b", 7'615'616'512},
                               {"bert-base", 109'482'240},
                               {"bert-large", 335'141'888}}) {
    CAPTURE(golden.name);
    CHECK(parameters(load_model(golden.name)) == golden.parameters);
  }
}

TEST_CASE("the Megatron models have the size that their name and paper say") {
  // arXiv 2104.04473 equation 2: P = 12 L h^2 (1 + 13 / (12 h) + (V + s) / (12 L h)), printed in billions to one digit.
  struct Golden {
    const char* name;
    double billions;
  };
  for (const Golden& golden : {Golden{"megatron-1.7b", 1.7},
                               {"megatron-3.6b", 3.6},
                               {"megatron-7.5b", 7.5},
                               {"megatron-18b", 18.4},
                               {"megatron-39b", 39.1},
                               {"megatron-76b", 76.1},
                               {"megatron-145b", 145.6},
                               {"megatron-310b", 310.1},
                               {"megatron-530b", 529.6},
                               {"megatron-1t", 1008.0},
                               {"turing-530b", 529.6},
                               {"megatron-1t-2022", 1008.0}}) {
    CAPTURE(golden.name);
    const ModelSpec model = load_model(golden.name);
    CHECK(static_cast<double>(parameters(model)) / 1e9 ==
          doctest::Approx(golden.billions).epsilon(0.0005 + 0.05 / golden.billions));
    const auto h = static_cast<double>(model.hidden);
    const auto layers = static_cast<double>(model.layers);
    const double equation =
        12.0 * layers * h * h * (1.0 + 13.0 / (12.0 * h) + (51200.0 + 2048.0) / (12.0 * layers * h));
    // The equation leaves out the final norm's 2 h.
    CHECK(static_cast<double>(parameters(model)) == doctest::Approx(equation + 2.0 * h).epsilon(1e-14));
  }
}

TEST_CASE("pre-training heads of BERT are counted apart") {
  // Transform 768 x 768 + 768, norm 2 x 768, decoder bias 30522, sentence pairs 2 x 768 + 2.
  CHECK(mlm_head_parameters(load_model("bert-base")) == 590'592 + 1'536 + 30'522 + 1'538);
  CHECK(mlm_head_parameters(load_model("gpt2")) == 0);
}

TEST_CASE("model FLOPs per token are the golden ones at a sequence of 8192") {
  CHECK(flops_per_token(load_model("llama-3-8b"), 8192).value == doctest::Approx(5.147e10).epsilon(1e-4));
  CHECK(flops_per_token(load_model("llama-3-70b"), 8192).value == doctest::Approx(4.492e11).epsilon(2e-4));
  CHECK(flops_per_token(load_model("llama-3-405b"), 8192).value == doctest::Approx(2.524e12).epsilon(2e-4));
  // By hand for 8B: weights 32 x (2 x 4096 x 40 x 128 + 3 x 4096 x 14336) + 128256 x 4096 = 7504658432, times six;
  // attention 6 x 32 x 4096 x 8192.
  CHECK(flops_per_token(load_model("llama-3-8b"), 8192).value == 6.0 * 7'504'658'432.0 + 6.0 * 32 * 4096 * 8192.0);
}

TEST_CASE("model FLOPs of an ungated model with full attention are Narayanan's closed form") {
  // arXiv 2104.04473, section 5.1, without recomputation: 72 s L h^2 (1 + s / (6 h) + V / (12 L h)) per sequence.
  CHECK(rc::check([] {
    ModelSpec model;
    model.mask = Mask::kFull;
    model.heads = *rc::gen::inRange<std::int64_t>(1, 64);
    model.kv_heads = model.heads;
    model.head_dim = *rc::gen::inRange<std::int64_t>(1, 256);
    model.hidden = model.heads * model.head_dim;
    model.ffn = 4 * model.hidden;
    model.layers = *rc::gen::inRange<std::int64_t>(1, 200);
    model.vocab = *rc::gen::inRange<std::int64_t>(1, 300'000);
    const auto seq_len = *rc::gen::inRange<std::int64_t>(1, 100'000);
    const auto s = static_cast<double>(seq_len);
    const auto h = static_cast<double>(model.hidden);
    const auto layers = static_cast<double>(model.layers);
    const double form =
        72.0 * layers * h * h * (1.0 + s / (6.0 * h) + static_cast<double>(model.vocab) / (12.0 * layers * h));
    RC_ASSERT(std::abs(flops_per_token(model, seq_len).value / form - 1.0) < 1e-12);
  }));
}

}  // namespace test_parameters
