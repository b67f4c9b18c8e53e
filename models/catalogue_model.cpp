// The catalogue's own JSON, also used inline in scenarios: unknown keys are errors.
#include <fmt/format.h>

#include <optional>

#include "models/model_reading.hpp"

namespace trainyard {
namespace {

constexpr ModelKeys kKeys{.hidden = "hidden", .heads = "heads", .kv_heads = "kv_heads", .head_dim = "head_dim"};

constexpr NameTable<Normalization, 2> kNormalizations{
    {{{"layernorm", Normalization::kLayerNorm}, {"rmsnorm", Normalization::kRmsNorm}}}};
constexpr NameTable<Activation, 4> kActivations{{{{"gelu", Activation::kGelu},
                                                  {"relu", Activation::kRelu},
                                                  {"swiglu", Activation::kSwiGlu},
                                                  {"geglu", Activation::kGeGlu}}}};
constexpr NameTable<Positions, 5> kPositions{{{{"learned", Positions::kLearned},
                                               {"rotary", Positions::kRotary},
                                               {"none", Positions::kNone},
                                               {"alibi", Positions::kAlibi},
                                               {"relative", Positions::kRelative}}}};
constexpr NameTable<NormSpan, 2> kNormSpans{{{{"head", NormSpan::kHead}, {"all-heads", NormSpan::kAllHeads}}}};
constexpr NameTable<Mask, 2> kMasks{{{{"causal", Mask::kCausal}, {"full", Mask::kFull}}}};
constexpr NameTable<Module, 4> kModules{{{{"qkv", Module::kQkv},
                                          {"attention_output", Module::kAttentionOutput},
                                          {"mlp_up", Module::kMlpUp},
                                          {"mlp_down", Module::kMlpDown}}}};

void read_presence(const JsonReader& json, std::string_view key, Presence& presence) {
  if (const auto found = json.find(key)) {
    presence = found->boolean() ? Presence::kPresent : Presence::kAbsent;
  }
}

template <class Value, std::size_t N>
void read_choice(const JsonReader& json, std::string_view key, const NameTable<Value, N>& table, Value& value) {
  if (const auto found = json.find(key)) {
    value = found->choice(table);
  }
}

void read_count(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t& value) {
  if (const auto found = json.find(key)) {
    value = found->integer(0, largest);
  }
}

Experts read_experts(const JsonReader& json) {
  json.expect_keys({"count", "per_token", "ffn", "shared_ffn", "shared_gate", "router_bias", "expert_bias",
                    "first_dense", "period"});
  Experts experts;
  experts.count = json.at("count").integer(1, ModelLimits::kExperts);
  experts.per_token = json.at("per_token").integer(1, experts.count);
  experts.ffn = json.at("ffn").integer(1, ModelLimits::kFfn);
  read_count(json, "shared_ffn", ModelLimits::kFfn, experts.shared_ffn);
  read_presence(json, "shared_gate", experts.shared_gate);
  read_presence(json, "router_bias", experts.router_bias);
  read_presence(json, "expert_bias", experts.expert_bias);
  read_count(json, "first_dense", ModelLimits::kLayers, experts.first_dense);
  if (const auto period = json.find("period")) {
    experts.period = period->integer(1, ModelLimits::kLayers);
  }
  return experts;
}

LatentAttention read_latent(const JsonReader& json) {
  json.expect_keys({"query_rank", "key_value_rank", "plain_dim", "rotary_dim", "value_dim"});
  LatentAttention latent;
  read_count(json, "query_rank", ModelLimits::kHidden, latent.query_rank);
  latent.key_value_rank = json.at("key_value_rank").integer(1, ModelLimits::kHidden);
  latent.plain_dim = json.at("plain_dim").integer(1, ModelLimits::kHeadDim);
  latent.rotary_dim = json.at("rotary_dim").integer(1, ModelLimits::kHeadDim);
  latent.value_dim = json.at("value_dim").integer(1, ModelLimits::kHeadDim);
  return latent;
}

Vision read_vision(const JsonReader& json) {
  json.expect_keys({"patch_inputs"});
  return {.patch_inputs = json.at("patch_inputs").integer(1, ModelLimits::kHidden)};
}

LowRankAdapters read_adapters(const JsonReader& json) {
  json.expect_keys({"rank", "modules"});
  LowRankAdapters adapters{.rank = json.at("rank").integer(1, ModelLimits::kHidden), .modules = {}};
  for (const JsonReader& module : json.at("modules").elements()) {
    const Module name = module.choice(kModules);
    if (adapters.has(name)) {
      module.fail("a module has one adapter", "each module once");
    }
    adapters.modules.push_back(name);
  }
  if (adapters.modules.empty()) {
    json.at("modules").fail("no module has an adapter, so nothing trains", join_names(kModules.names()));
  }
  return adapters;
}

void read_sizes(const JsonReader& json, ModelSpec& model) {
  const bool has_decoder = model.family == "t5";  // beside an encoder, with a layer of its own
  model.layers = json.at("layers").integer(has_decoder ? 2 : 1, ModelLimits::kLayers);
  model.hidden = json.at("hidden").integer(1, ModelLimits::kHidden);
  model.heads = json.at("heads").integer(1, ModelLimits::kHeads);
  const auto kv_heads = json.find("kv_heads");
  model.kv_heads = kv_heads ? kv_heads->integer(1, ModelLimits::kHeads) : model.heads;
  if (const auto latent = json.find("latent")) {
    model.latent = read_latent(*latent);
  }
  const auto head_dim = json.find("head_dim");
  model.head_dim = head_dim       ? head_dim->integer(1, ModelLimits::kHeadDim)
                   : model.latent ? model.latent->query_dim()
                                  : derived_head_dim(json, kKeys, model);
  // Four times the hidden size is the rule of ungated models; gated ones have no rule and must say.
  const auto ffn = json.find("ffn");
  model.ffn = ffn || model.gated() ? json.at("ffn").integer(1, ModelLimits::kFfn) : 4 * model.hidden;
  model.vocab = json.at("vocab").integer(1, ModelLimits::kVocab);
  model.seq_len = json.at("seq_len").integer(1, ModelLimits::kSeqLen);
  read_count(json, "token_types", ModelLimits::kVocab, model.token_types);
  read_count(json, "token_classes", ModelLimits::kVocab, model.token_classes);
  read_count(json, "spare_positions", ModelLimits::kVocab, model.spare_positions);
  read_count(json, "window", ModelLimits::kSeqLen, model.window);
  read_count(json, "global_every", ModelLimits::kLayers, model.global_every);
  read_count(json, "predicted_tokens", ModelLimits::kLayers, model.predicted_tokens);
  if (has_decoder || json.has("encoder_layers")) {
    model.encoder_layers = json.at("encoder_layers").integer(has_decoder ? 1 : 0, model.layers - 1);
  }
  model.decoder_seq_len = model.encoder_layers > 0 ? model.seq_len : 0;
  read_count(json, "decoder_seq_len", ModelLimits::kSeqLen, model.decoder_seq_len);
  read_count(json, "relative_buckets", ModelLimits::kSeqLen, model.relative_buckets);
}

void read_parts(const JsonReader& json, ModelSpec& model) {
  read_choice(json, "normalization", kNormalizations, model.normalization);
  read_choice(json, "positions", kPositions, model.positions);
  read_choice(json, "mask", kMasks, model.mask);
  read_presence(json, "linear_bias", model.linear_bias);
  read_presence(json, "qkv_bias", model.qkv_bias);
  if (const auto bias = json.find("attention_output_bias")) {
    model.attention_output_bias = bias->boolean() ? Presence::kPresent : Presence::kAbsent;
  }
  read_presence(json, "tied_embeddings", model.tied_embeddings);
  read_presence(json, "dropout", model.dropout);
  read_presence(json, "pooler_and_mlm_head", model.pooler_and_mlm_head);
  read_presence(json, "embedding_norm", model.embedding_norm);
  read_presence(json, "final_norm", model.final_norm);
  read_presence(json, "norm_bias", model.norm_bias);
  read_presence(json, "query_key_norm", model.query_key_norm);
  read_choice(json, "query_key_norm_span", kNormSpans, model.query_key_norm_span);
  read_presence(json, "pre_norms", model.pre_norms);
  read_presence(json, "post_norms", model.post_norms);
  read_presence(json, "parallel_block", model.parallel_block);
  read_presence(json, "head_bias", model.head_bias);
  read_presence(json, "attention_sinks", model.attention_sinks);
  read_presence(json, "attention_soft_cap", model.attention_soft_cap);
  read_presence(json, "logit_soft_cap", model.logit_soft_cap);
  if (const auto experts = json.find("experts")) {
    model.experts = read_experts(*experts);
    if (!has_layer(model, FeedForward::kExperts)) {
      experts->fail("no layer has experts", fmt::format("first_dense + period of at most {} layers", model.layers));
    }
  }
  if (model.family == "vit" || json.has("vision")) {
    model.vision = read_vision(json.at("vision"));
  }
  if (const auto adapters = json.find("adapters")) {
    model.adapters = read_adapters(*adapters);
  }
}

}  // namespace

ModelSpec read_catalogue_model(const JsonReader& json, std::string_view name) {
  json.expect_keys({"name",
                    "family",
                    "layers",
                    "hidden",
                    "heads",
                    "kv_heads",
                    "head_dim",
                    "ffn",
                    "vocab",
                    "seq_len",
                    "normalization",
                    "activation",
                    "positions",
                    "mask",
                    "linear_bias",
                    "qkv_bias",
                    "attention_output_bias",
                    "tied_embeddings",
                    "dropout",
                    "token_types",
                    "token_classes",
                    "spare_positions",
                    "pooler_and_mlm_head",
                    "embedding_norm",
                    "final_norm",
                    "norm_bias",
                    "query_key_norm",
                    "query_key_norm_span",
                    "pre_norms",
                    "post_norms",
                    "parallel_block",
                    "head_bias",
                    "attention_sinks",
                    "attention_soft_cap",
                    "logit_soft_cap",
                    "window",
                    "global_every",
                    "latent",
                    "experts",
                    "predicted_tokens",
                    "encoder_layers",
                    "decoder_seq_len",
                    "relative_buckets",
                    "vision",
                    "adapters",
                    "note",
                    "sources"});
  ModelSpec model = family_defaults(json.at("family"));
  const auto stated_name = json.find("name");
  model.name = stated_name ? stated_name->text() : std::string(name);
  read_choice(json, "activation", kActivations, model.activation);
  read_sizes(json, model);
  read_parts(json, model);
  check_model(json, kKeys, model);
  return model;
}

ModelSpec read_network_model(const JsonReader& json, std::string_view name) {
  json.expect_keys({"name", "input", "units", "note", "sources"});
  const auto stated_name = json.find("name");
  ModelSpec model;
  model.name = stated_name ? stated_name->text() : std::string(name);
  model.family = "network";
  model.network = std::make_shared<const NetworkSpec>(read_network_spec(json));
  model.layers = static_cast<std::int64_t>(model.network->units.size());
  model.hidden = model.heads = model.kv_heads = model.head_dim = model.ffn = model.seq_len = 1;
  model.vocab = model.network->units.back().out().elements();
  model.positions = Positions::kNone;
  model.mask = Mask::kFull;
  model.tied_embeddings = Presence::kAbsent;
  return model;
}

}  // namespace trainyard
