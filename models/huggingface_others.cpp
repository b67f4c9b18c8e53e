// GPT-2 and what descends from it, encoders, T5 and vision transformers, from config.json.
#include <fmt/format.h>

#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

constexpr double kClassDropout = 0.1;

void no_attention_bias(ModelSpec& model) {
  model.qkv_bias = Presence::kAbsent;
  model.attention_output_bias = Presence::kAbsent;
}

}  // namespace

void read_gpt2(const JsonReader& json, ModelSpec& model) {
  model.dropout = dropout(json, {"resid_pdrop", "embd_pdrop", "attn_pdrop"}, kClassDropout);
}

void read_gpt_bigcode(const JsonReader& json, ModelSpec& model) {
  read_gpt2(json, model);
  model.kv_heads = presence(json, "multi_query", true) == Presence::kPresent ? 1 : model.heads;
}

// Every other layer sees the last 256 keys alone, unless attention_types says that all are global.
void read_gpt_neo(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 256;
  no_attention_bias(model);
  model.attention_output_bias = Presence::kPresent;
  model.dropout = dropout(json, {"resid_dropout", "embed_dropout", "attention_dropout"}, 0.0);
  const auto types = json.find("attention_types");
  if (!types || types->value().dump().find("local") != std::string::npos) {
    model.window = count(json, "window_size", ModelLimits::kSeqLen, kClassWindow);
    model.global_every = 2;
  }
}

void read_gptj(const JsonReader& json, ModelSpec& model) {
  no_attention_bias(model);
  model.positions = Positions::kRotary;
  model.parallel_block = Presence::kPresent;
  model.head_bias = Presence::kPresent;
  model.dropout = dropout(json, {"resid_pdrop", "embd_pdrop", "attn_pdrop"}, 0.0);
}

// Attention and MLP side by side have a norm each.
void read_gpt_neox(const JsonReader& json, ModelSpec& model) {
  const Presence bias = presence(json, "attention_bias", true);
  model.qkv_bias = bias;
  model.attention_output_bias = bias;
  model.positions = Positions::kRotary;
  model.dropout = dropout(json, {"hidden_dropout", "attention_dropout"}, 0.0);
}

// The table of positions has two more rows than a sequence has tokens. Source: OPTLearnedPositionalEmbedding.
void read_opt(const JsonReader& json, ModelSpec& model) {
  if (const auto width = json.find("word_embed_proj_dim");
      width && width->integer(1, ModelLimits::kHidden) != model.hidden) {
    width->fail("embeddings of another width than the layers are not supported", "hidden_size");
  }
  model.activation = Activation::kRelu;
  model.spare_positions = 2;
  const Presence bias = presence(json, "enable_bias", true);
  model.qkv_bias = bias;
  model.linear_bias = bias;
  const bool norm_first = presence(json, "do_layer_norm_before", true) == Presence::kPresent;
  const bool no_final_norm = presence(json, "_remove_final_layer_norm", false) == Presence::kPresent;
  model.final_norm = norm_first && !no_final_norm ? Presence::kPresent : Presence::kAbsent;
  model.dropout = dropout(json, {"dropout", "attention_dropout"}, kClassDropout);
}

// Of three generations: one norm for attention and MLP side by side (7B), one each (40B), one after the other.
void read_falcon(const JsonReader& json, ModelSpec& model) {
  const Presence bias = presence(json, "bias", false);
  const bool is_new = presence(json, "new_decoder_architecture", false) == Presence::kPresent;
  const bool is_parallel = is_new || presence(json, "parallel_attn", true) == Presence::kPresent;
  const std::int64_t norms = count(json, "num_ln_in_parallel_attn", 2, is_new ? 2 : 1);
  model.qkv_bias = bias;
  model.linear_bias = bias;
  model.positions = presence(json, "alibi", false) == Presence::kPresent ? Positions::kAlibi : Positions::kRotary;
  model.parallel_block = is_parallel && norms == 1 ? Presence::kPresent : Presence::kAbsent;
  if (!is_new) {
    model.kv_heads = presence(json, "multi_query", true) == Presence::kPresent ? 1 : model.heads;
  }
  model.dropout = dropout(json, {"hidden_dropout", "attention_dropout"}, 0.0);
}

void read_bert(const JsonReader& json, ModelSpec& model) {
  if (const auto type = json.find("position_embedding_type"); type && type->text() != "absolute") {
    type->fail("positions of this type are not supported", "absolute");
  }
  constexpr std::int64_t kClassTypes = 2;
  model.token_types = count(json, "type_vocab_size", ModelLimits::kVocab, kClassTypes);
  model.dropout = dropout(json, {"hidden_dropout_prob", "attention_probs_dropout_prob"}, kClassDropout);
}

// Positions count from the padding's on: two rows of the table are no tokens'. Source:
// create_position_ids_from_input_ids in modeling_roberta.py.
void read_roberta(const JsonReader& json, ModelSpec& model) {
  read_bert(json, model);
  model.spare_positions = std::min<std::int64_t>(model.seq_len - 1, 2);
  model.seq_len -= model.spare_positions;
}

// The class has ALiBi unless it is told otherwise, and adds biases only where no_bias is false.
void read_mpt(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassExpansion = 4;
  model.ffn = count(json, "expansion_ratio", ModelLimits::kHeadDim, kClassExpansion) * model.hidden;
  const Presence bias = presence(json, "no_bias", true) == Presence::kPresent ? Presence::kAbsent : Presence::kPresent;
  model.linear_bias = bias;
  model.qkv_bias = bias;
  model.norm_bias = bias;
  if (const auto attention = json.find("attn_config")) {
    if (presence(*attention, "alibi", true) == Presence::kAbsent) {
      model.positions = Positions::kLearned;
    }
    if (const auto type = attention->find("attn_type"); type && type->text() == "multiquery_attention") {
      model.kv_heads = 1;
    }
    model.kv_heads = positive(*attention, "kv_n_heads", ModelLimits::kHeads, model.kv_heads);
  }
}

void read_bloom(const JsonReader& json, ModelSpec& model) {
  model.dropout = dropout(json, {"hidden_dropout", "attention_dropout"}, 0.0);
}

// The encoder's layers come first, then the decoder's. Later releases gate the MLP and untie the output.
void read_t5(const JsonReader& json, ModelSpec& model) {
  model.encoder_layers = model.layers;
  model.layers += positive(json, "num_decoder_layers", ModelLimits::kLayers, model.encoder_layers);
  model.decoder_seq_len = model.seq_len;
  model.relative_buckets = count(json, "relative_attention_num_buckets", ModelLimits::kSeqLen, model.relative_buckets);
  model.dropout = dropout(json, {"dropout_rate"}, kClassDropout);
}

void read_mt5(const JsonReader& json, ModelSpec& model) {
  model.activation = Activation::kGeGlu;
  read_t5(json, model);
}

// Patches and a class token; classes are what id2label lists, two where there is none.
void read_vit(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassImage = 224;
  constexpr std::int64_t kClassPatch = 16;
  constexpr std::int64_t kClassChannels = 3;
  model.qkv_bias = presence(json, "qkv_bias", true);
  const std::int64_t image = positive(json, "image_size", ModelLimits::kHeadDim, kClassImage);
  const std::int64_t patch = positive(json, "patch_size", ModelLimits::kHeadDim, kClassPatch);
  if (patch > image) {
    (json.has("patch_size") ? json.at("patch_size") : json.at("image_size"))
        .fail("a patch is larger than the image", fmt::format("a patch_size of at most {}", image));
  }
  const std::int64_t side = image / patch;
  model.seq_len = side * side + 1;
  const auto labels = json.find("id2label");
  model.vocab = labels ? std::max<std::int64_t>(1, static_cast<std::int64_t>(labels->members().size()))
                       : positive(json, "num_labels", ModelLimits::kVocab, 2);
  model.vision =
      Vision{.patch_inputs = positive(json, "num_channels", ModelLimits::kHeadDim, kClassChannels) * patch * patch};
  model.dropout = dropout(json, {"hidden_dropout_prob", "attention_probs_dropout_prob"}, 0.0);
}

}  // namespace trainyard::huggingface
