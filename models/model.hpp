#pragma once
// What is trained: the architecture of a transformer, or a network as a list of layers, its parameters and FLOPs.
// Nothing here knows a cluster or a layout.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/network.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

enum class Normalization { kLayerNorm, kRmsNorm };
enum class Activation { kGelu, kRelu, kSwiGlu, kGeGlu };  // SwiGLU, GeGLU: gated, three MLP matrices
// ALiBi adds a slope times the distance to the scores; relative positions add a learned number per bucket of distances
// and head (T5).
enum class Positions { kLearned, kRotary, kNone, kAlibi, kRelative };
enum class Presence { kAbsent, kPresent };
// What a norm of queries and keys runs over: each head (Qwen3), or all heads of a token at once (OLMo 2).
enum class NormSpan { kHead, kAllHeads };

// What one layer is, of those that its model mixes. Layers of one kind run the same kernels. An ordered value: collect
// the kinds of a model with layer_kinds, ask a layer's with layer_kind.
enum class FeedForward { kDense, kExperts };
enum class AttentionSpan { kGlobal, kWindow };
enum class Stack { kDecoderOnly, kEncoder, kDecoder };  // kDecoder also attends to the encoder's output
struct LayerKind {
  std::int64_t unit = 0;  // of a network: the first of its units that is like this one
  FeedForward feed_forward = FeedForward::kDense;
  AttentionSpan span = AttentionSpan::kGlobal;
  Stack stack = Stack::kDecoderOnly;
  auto operator<=>(const LayerKind&) const = default;
};

// Multi-head latent attention: queries (where query_rank is not zero) and keys with values come through a narrow
// projection; a part of every query and one key for all heads carry the rotary positions. Source: DeepSeek-V2, arXiv
// 2405.04434, section 2.1.
struct LatentAttention {
  std::int64_t query_rank = 0;  // zero: queries are projected at once
  std::int64_t key_value_rank = 0;
  std::int64_t plain_dim = 0;   // of a head's query and key, without positions ("nope")
  std::int64_t rotary_dim = 0;  // of a head's query, and of the key that all heads share
  std::int64_t value_dim = 0;

  std::int64_t query_dim() const { return plain_dim + rotary_dim; }
};

// Mixture of experts in place of the MLP of some layers.
struct Experts {
  std::int64_t count = 0;                    // routed experts
  std::int64_t per_token = 0;                // of them that one token visits
  std::int64_t ffn = 0;                      // inner width of one routed expert
  std::int64_t shared_ffn = 0;               // inner width of all shared experts together; zero: none
  Presence shared_gate = Presence::kAbsent;  // a sigmoid gate on the shared experts' output (Qwen2-MoE)
  Presence router_bias = Presence::kAbsent;  // added to the router's scores, a parameter of the model
  Presence expert_bias = Presence::kAbsent;  // biases of the experts' matrices (gpt-oss)
  std::int64_t first_dense = 0;              // leading layers with a dense MLP
  std::int64_t period = 1;                   // every so-manieth layer from there on has experts
};

// The image side of a vision transformer: its tokens are patches and a class token, and its vocabulary are classes.
struct Vision {
  std::int64_t patch_inputs = 0;  // numbers of one patch: channels x patch height x patch width
};

// Linear layers of a transformer layer, by the names of the operator lists.
enum class Module { kQkv, kAttentionOutput, kMlpUp, kMlpDown };

// Low-rank adapters on a frozen base: y = W x + B A x with A [rank, in] and B [out, rank] the only parameters that
// train. Source: Hu et al., arXiv 2106.09685, section 4.
struct LowRankAdapters {
  std::int64_t rank = 0;
  std::vector<Module> modules;  // that have adapters; routed experts and latent projections never have

  bool has(Module module) const { return std::find(modules.begin(), modules.end(), module) != modules.end(); }
};

struct ModelSpec {
  std::string name;
  std::string family;       // gpt, llama, bert, ...
  std::int64_t layers = 0;  // encoder and decoder together
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t ffn = 0;  // width of the MLP's inner layer
  std::int64_t vocab = 0;
  std::int64_t seq_len = 0;  // longest sequence: positions of the table
  Normalization normalization = Normalization::kLayerNorm;
  Activation activation = Activation::kGelu;
  Positions positions = Positions::kLearned;
  Mask mask = Mask::kCausal;
  Presence linear_bias = Presence::kPresent;  // biases of attention output and MLP
  Presence qkv_bias = Presence::kPresent;     // biases of the query, key, value projections
  // The attention output's bias where it is not as linear_bias says (Hugging Face: attention_bias without mlp_bias).
  std::optional<Presence> attention_output_bias;
  Presence tied_embeddings = Presence::kPresent;
  Presence dropout = Presence::kPresent;
  std::int64_t spare_positions = 0;  // rows of the table beyond seq_len (OPT, RoBERTa)
  std::int64_t token_types = 0;      // BERT segment embeddings
  // Not zero: every token is classified among so many classes in place of the vocabulary (SQuAD: start and end of the
  // answer).
  std::int64_t token_classes = 0;
  Presence pooler_and_mlm_head = Presence::kAbsent;  // BERT's extra heads
  Presence embedding_norm = Presence::kAbsent;       // a norm after the embeddings (BERT, BLOOM)
  Presence final_norm = Presence::kPresent;          // a norm after the last layer (all but post-norm models)
  Presence norm_bias = Presence::kPresent;           // LayerNorm's second vector; RMSNorm never has one
  Presence query_key_norm = Presence::kAbsent;       // a norm over each head's query and key (Qwen3, Gemma 3)
  NormSpan query_key_norm_span = NormSpan::kHead;
  Presence pre_norms = Presence::kPresent;  // norms in front of attention and MLP (absent in OLMo 2)
  Presence post_norms = Presence::kAbsent;  // norms after attention and after the MLP as well (Gemma 2, 3)
  // Attention and MLP read one normalised input and their outputs are added at once (GPT-J, Falcon, Phi, Cohere).
  Presence parallel_block = Presence::kAbsent;
  Presence head_bias = Presence::kAbsent;           // of the output matrix (GPT-J, Phi)
  Presence attention_sinks = Presence::kAbsent;     // one learned score per head that no value answers (gpt-oss)
  Presence attention_soft_cap = Presence::kAbsent;  // scores pass through a scaled tanh (Gemma 2)
  Presence logit_soft_cap = Presence::kAbsent;      // logits pass through a scaled tanh (Gemma 2)
  std::int64_t window = 0;        // keys that a query of a windowed layer sees; zero: there is no such layer
  std::int64_t global_every = 0;  // with a window: every so-manieth layer sees all keys; zero: none does
  std::optional<LatentAttention> latent;
  std::optional<Experts> experts;
  std::int64_t predicted_tokens = 0;  // further multi-token prediction modules after the last layer (DeepSeek-V3)
  std::int64_t encoder_layers = 0;    // of `layers`; not zero: encoder and decoder, embeddings shared (T5)
  std::int64_t decoder_seq_len = 0;   // of encoder-decoder models
  std::int64_t relative_buckets = 0;  // of Positions::kRelative
  std::optional<Vision> vision;
  std::optional<LowRankAdapters> adapters;
  // In place of a transformer: its units are the layers, a sample is one token, its outputs are the vocabulary. The
  // other sizes are 1 then.
  std::shared_ptr<const NetworkSpec> network;
  std::vector<std::string> notes;  // what a reader of the file must be told: left out, or taken from defaults

  bool gated() const { return activation == Activation::kSwiGlu || activation == Activation::kGeGlu; }
  bool has_attention_norm() const { return pre_norms == Presence::kPresent; }
  bool has_mlp_norm() const { return has_attention_norm() && parallel_block == Presence::kAbsent; }
  Presence output_bias() const { return attention_output_bias.value_or(linear_bias); }
};

// The kind of layer `index` (0 to layers - 1), and all kinds of a model in order of first appearance.
LayerKind layer_kind(const ModelSpec& model, std::int64_t index);
std::vector<LayerKind> layer_kinds(const ModelSpec& model);
bool has_layer(const ModelSpec& model, FeedForward feed_forward);  // one of that kind at least
// The encoder sees everything, a decoder beside it what came before, and other models as they say.
Mask mask_of(const ModelSpec& model, const LayerKind& kind);

// Families of the catalogue's keys, and the model_types of Hugging Face's config.json that are read.
std::vector<std::string> model_families();
std::vector<std::string> huggingface_model_types();

// Exact number of parameters, as published for the base model. `vocab` padded by the caller when a framework pads.
// BERT counts embeddings, layers and pooler (Hugging Face's BertModel); what pre-training adds on top is
// mlm_head_parameters.
std::int64_t layer_parameters(const ModelSpec& model, const LayerKind& kind);
std::int64_t embedding_parameters(
    const ModelSpec& model);                               // input side: tokens, positions, token types, embedding norm
std::int64_t head_parameters(const ModelSpec& model);      // final norm, untied output matrix, pooler
std::int64_t mlm_head_parameters(const ModelSpec& model);  // BERT: transform, norm, decoder bias, sentence-pair head
std::int64_t parameters(const ModelSpec& model);
// Multi-token prediction modules, which the published total leaves out: each a layer of the last kind, the projection
// of hidden state and embedding, and three norms; embedding and output matrix are the model's own.
std::int64_t prediction_parameters(const ModelSpec& model);
// Of `parameters`, those that an optimizer updates: all, or the adapters alone. Adapters are not in `parameters`.
std::int64_t adapter_parameters(const ModelSpec& model);
std::int64_t trainable_parameters(const ModelSpec& model);

// Model FLOPs of forward plus backward for one token in a sequence of `seq_len` (no recomputation). Causal attention
// counts the causal half, a window what it lets through, experts those that a token visits; multi-token prediction is
// included, and of a frozen base the gradients of its weights are not. Of encoder-decoder models the token is the
// encoder's, with its share of the decoder's work. Source: Megatron-LM num_floating_point_operations.
// The operator lists execute more: unfused attention computes all s^2 scores, and flash attention's backward recomputes
// them (3.5 instead of 3 times the forward).
Flops flops_per_token(const ModelSpec& model, std::int64_t seq_len, std::int64_t document_len = 0);

}  // namespace trainyard
