// GPT-2 and what descends from it, encoders, T5 and vision transformers, from config.json.
#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {

ModelSpec read_gpt2(const JsonReader& json) {
  constexpr double kClassDropout = 0.1;
  constexpr ModelKeys kKeys{.hidden = "n_embd", .heads = "n_head", .kv_heads = "n_head", .head_dim = ""};
  ModelSpec model = family_defaults("gpt");
  model.layers = json.at("n_layer").integer(1, ModelLimits::kLayers);
  model.hidden = json.at("n_embd").integer(1, ModelLimits::kHidden);
  model.heads = json.at("n_head").integer(1, ModelLimits::kHeads);
  model.kv_heads = model.heads;
  model.head_dim = derived_head_dim(json, kKeys, model);
  const auto inner = json.find("n_inner");
  model.ffn = inner ? inner->integer(1, ModelLimits::kFfn) : 4 * model.hidden;
  // n_ctx is the older name of n_positions.
  const JsonReader positions =
      json.has("n_positions") || !json.has("n_ctx") ? json.at("n_positions") : json.at("n_ctx");
  model.seq_len = positions.integer(1, ModelLimits::kSeqLen);
  model.tied_embeddings = presence(json, "tie_word_embeddings", true);
  model.dropout = dropout(json, {"resid_pdrop", "embd_pdrop", "attn_pdrop"}, kClassDropout);
  return model;
}

ModelSpec read_bert(const JsonReader& json) {
  constexpr double kClassDropout = 0.1;
  ModelSpec model = family_defaults("bert");
  read_usual_sizes(json, model);
  model.kv_heads = model.heads;
  if (const auto types = json.find("type_vocab_size")) {
    model.token_types = types->integer(1, ModelLimits::kVocab);
  }
  model.tied_embeddings = presence(json, "tie_word_embeddings", true);
  model.dropout = dropout(json, {"hidden_dropout_prob", "attention_probs_dropout_prob"}, kClassDropout);
  return model;
}

ModelSpec read_mpt(const JsonReader& json) {
  constexpr ModelKeys kKeys{.hidden = "d_model", .heads = "n_heads", .kv_heads = "n_heads", .head_dim = ""};
  constexpr std::int64_t kClassExpansion = 4;
  ModelSpec model = family_defaults("mpt");
  model.layers = json.at("n_layers").integer(1, ModelLimits::kLayers);
  model.hidden = json.at("d_model").integer(1, ModelLimits::kHidden);
  model.heads = json.at("n_heads").integer(1, ModelLimits::kHeads);
  model.head_dim = derived_head_dim(json, kKeys, model);
  model.ffn = count(json, "expansion_ratio", ModelLimits::kHeadDim, kClassExpansion) * model.hidden;
  model.seq_len = json.at("max_seq_len").integer(1, ModelLimits::kSeqLen);
  const Presence bias = presence(json, "no_bias", true) == Presence::kPresent ? Presence::kAbsent : Presence::kPresent;
  model.linear_bias = bias;
  model.qkv_bias = bias;
  model.norm_bias = bias;
  model.kv_heads = model.heads;
  if (const auto attention = json.find("attn_config")) {
    if (presence(*attention, "alibi", false) == Presence::kAbsent) {
      model.positions = Positions::kLearned;
    }
    if (const auto type = attention->find("attn_type"); type && type->text() == "multiquery_attention") {
      model.kv_heads = 1;
    }
    model.kv_heads = count(*attention, "kv_n_heads", ModelLimits::kHeads, model.kv_heads);
  } else {
    model.positions = Positions::kLearned;
  }
  return model;
}

ModelSpec read_bloom(const JsonReader& json) {
  ModelSpec model = family_defaults("bloom");
  const auto named = [&](std::string_view key, std::string_view other) {
    return json.has(other) && !json.has(key) ? json.at(other) : json.at(key);
  };
  constexpr ModelKeys kKeys{.hidden = "hidden_size", .heads = "n_head", .kv_heads = "n_head", .head_dim = ""};
  constexpr std::int64_t kTrainedLength = 2048;  // of every published BLOOM; ALiBi needs no table
  model.layers = named("n_layer", "num_hidden_layers").integer(1, ModelLimits::kLayers);
  model.hidden = named("hidden_size", "n_embed").integer(1, ModelLimits::kHidden);
  model.heads = named("n_head", "num_attention_heads").integer(1, ModelLimits::kHeads);
  model.kv_heads = model.heads;
  model.head_dim = derived_head_dim(json, kKeys, model);
  model.ffn = 4 * model.hidden;
  model.seq_len = count(json, "seq_length", ModelLimits::kSeqLen, kTrainedLength);
  model.tied_embeddings = presence(json, "tie_word_embeddings", true);
  model.dropout = dropout(json, {"hidden_dropout", "attention_dropout"}, 0.0);
  return model;
}

// The encoder's layers come first, then the decoder's. Later releases gate the MLP with GeLU and untie the output.
ModelSpec read_t5(const JsonReader& json) {
  constexpr double kClassDropout = 0.1;
  constexpr std::int64_t kTrainedLength = 512;  // of the published pre-training
  ModelSpec model = family_defaults("t5");
  model.encoder_layers = json.at("num_layers").integer(1, ModelLimits::kLayers);
  model.layers = model.encoder_layers + count(json, "num_decoder_layers", ModelLimits::kLayers, model.encoder_layers);
  model.hidden = json.at("d_model").integer(1, ModelLimits::kHidden);
  model.heads = json.at("num_heads").integer(1, ModelLimits::kHeads);
  model.kv_heads = model.heads;
  model.head_dim = json.at("d_kv").integer(1, ModelLimits::kHeadDim);
  model.ffn = json.at("d_ff").integer(1, ModelLimits::kFfn);
  model.seq_len = count(json, "n_positions", ModelLimits::kSeqLen, kTrainedLength);
  model.decoder_seq_len = model.seq_len;
  model.relative_buckets = count(json, "relative_attention_num_buckets", ModelLimits::kSeqLen, model.relative_buckets);
  if (const auto projection = json.find("feed_forward_proj"); projection && projection->text() == "gated-gelu") {
    model.activation = Activation::kGeGlu;
  }
  model.tied_embeddings = presence(json, "tie_word_embeddings", true);
  model.dropout = dropout(json, {"dropout_rate"}, kClassDropout);
  return model;
}

ModelSpec read_vit(const JsonReader& json) {
  constexpr std::int64_t kClassImage = 224;
  constexpr std::int64_t kClassPatch = 16;
  constexpr std::int64_t kClassChannels = 3;
  constexpr ModelKeys kKeys = kUsualKeys;
  ModelSpec model = family_defaults("vit");
  model.layers = json.at("num_hidden_layers").integer(1, ModelLimits::kLayers);
  model.hidden = json.at("hidden_size").integer(1, ModelLimits::kHidden);
  model.heads = json.at("num_attention_heads").integer(1, ModelLimits::kHeads);
  model.kv_heads = model.heads;
  model.head_dim = derived_head_dim(json, kKeys, model);
  model.ffn = json.at("intermediate_size").integer(1, ModelLimits::kFfn);
  model.qkv_bias = presence(json, "qkv_bias", true);
  const std::int64_t image = std::max<std::int64_t>(1, count(json, "image_size", ModelLimits::kHeadDim, kClassImage));
  const std::int64_t patch = std::max<std::int64_t>(1, count(json, "patch_size", ModelLimits::kHeadDim, kClassPatch));
  const std::int64_t side = image / patch;
  model.seq_len = side * side + 1;  // the patches and the class token
  const auto labels = json.find("id2label");
  model.vocab = labels ? static_cast<std::int64_t>(labels->members().size())
                       : json.at("num_labels").integer(1, ModelLimits::kVocab);
  model.vision =
      Vision{.patch_inputs = count(json, "num_channels", ModelLimits::kHeadDim, kClassChannels) * patch * patch};
  model.dropout = dropout(json, {"hidden_dropout_prob", "attention_probs_dropout_prob"}, 0.0);
  return model;
}

}  // namespace trainyard::huggingface
