// Hugging Face's config.json, read as downloaded.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/huggingface_reading.hpp"

namespace trainyard {
namespace huggingface {
namespace {

constexpr std::string_view kDefaulted = "from the defaults of the configuration class: ";

// What an activation is alone and in front of a gate. The kernels of all smooth ones move the same bytes.
struct ActivationName {
  std::string_view name;
  Activation alone;
  Activation gated;
};
// Source: huggingface/transformers, src/transformers/activations.py, ACT2CLS.
constexpr auto kActivations =
    std::to_array<ActivationName>({{"gelu", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_new", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_fast", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_accurate", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_python", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_10", Activation::kGelu, Activation::kGeGlu},
                                   {"gelu_pytorch_tanh", Activation::kGelu, Activation::kGeGlu},
                                   {"quick_gelu", Activation::kGelu, Activation::kGeGlu},
                                   {"laplace", Activation::kGelu, Activation::kGeGlu},
                                   {"mish", Activation::kGelu, Activation::kGeGlu},
                                   {"tanh", Activation::kGelu, Activation::kGeGlu},
                                   {"sigmoid", Activation::kGelu, Activation::kSwiGlu},
                                   {"silu", Activation::kGelu, Activation::kSwiGlu},
                                   {"swish", Activation::kGelu, Activation::kSwiGlu},
                                   {"relu", Activation::kRelu, Activation::kSwiGlu},
                                   {"relu2", Activation::kRelu, Activation::kSwiGlu},
                                   {"relu6", Activation::kRelu, Activation::kSwiGlu},
                                   {"leaky_relu", Activation::kRelu, Activation::kSwiGlu}});
// Names that say that there is a gate.
constexpr auto kGates = std::to_array<std::pair<std::string_view, Activation>>({{"swiglu", Activation::kSwiGlu},
                                                                                {"reglu", Activation::kSwiGlu},
                                                                                {"glu", Activation::kSwiGlu},
                                                                                {"geglu", Activation::kGeGlu}});

// "gated-silu", "gated_gelu", "swiglu" have a gate in every model; "silu" has one where the layer of the family does.
Activation activation_of(const JsonReader& json, const ModelSpec& model) {
  std::string name = json.text();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [gate, activation] : kGates) {
    if (name == gate) {
      return activation;
    }
  }
  const bool says_gated = name.starts_with("gated-") || name.starts_with("gated_");
  const std::string_view alone = says_gated ? std::string_view(name).substr(6) : std::string_view(name);
  std::vector<std::string> allowed;
  for (const ActivationName& known : kActivations) {
    if (known.name == alone) {
      return says_gated || model.gated() ? known.gated : known.alone;
    }
    allowed.emplace_back(known.name);
  }
  for (const auto& [gate, activation] : kGates) {
    allowed.emplace_back(gate);
  }
  json.fail("unknown activation", join_names(allowed) + ", gated-... of the first",
            nearest_name(name, allowed).value_or(""));
}

void read_activation(const JsonReader& json, ModelSpec& model) {
  for (const std::string_view key :
       {"hidden_activation", "feed_forward_proj", "hidden_act", "activation_function", "mlp_hidden_act"}) {
    if (const auto found = json.find(key)) {
      model.activation = activation_of(*found, model);
      return;
    }
  }
}

// Decoders that look both ways, as embedding models do; encoders that are told to be decoders.
void read_mask(const JsonReader& json, ModelSpec& model) {
  for (const std::string_view key : {"use_bidirectional_attention", "bidirectional", "is_bidirectional"}) {
    const auto found = json.find(key);
    if (!found || (found->value().is_string() && found->text() == "vision")) {
      continue;  // between the tokens of one image alone
    }
    if (found->value().is_string() ? found->text() == "all" : found->boolean()) {
      model.mask = Mask::kFull;
    }
  }
  if (const auto causal = json.find("is_causal"); causal && !causal->boolean()) {
    model.mask = Mask::kFull;
  }
  if (model.family == "bert" && presence(json, "is_decoder", false) == Presence::kPresent) {
    model.mask = Mask::kCausal;
  }
}

std::int64_t size_of(const JsonReader& json, std::string_view names, std::int64_t largest, std::int64_t of_class,
                     ModelSpec& model) {
  return size(json, name_in(json, names), largest, of_class, model);
}

// One that may be null or absent for a value that follows from others: zero.
std::int64_t size_or_none(const JsonReader& json, std::string_view names, std::int64_t largest, std::int64_t of_class,
                          ModelSpec& model) {
  const std::string_view key = name_in(json, names);
  if (key.empty() || (states(json, key) && !json.has(key)) || (of_class == 0 && !json.has(key))) {
    return 0;
  }
  return size(json, key, largest, of_class, model);
}

void read_sizes(const JsonReader& json, const ModelType& type, ModelSpec& model) {
  const SizeKeys& keys = type.keys;
  const ClassSizes& sizes = type.sizes;
  model.layers = size_of(json, keys.layers, ModelLimits::kLayers, sizes.layers, model);
  model.hidden = size_of(json, keys.hidden, ModelLimits::kHidden, sizes.hidden, model);
  model.heads = size_of(json, keys.heads, ModelLimits::kHeads, sizes.heads, model);
  if (!keys.vocab.empty()) {
    model.vocab = size_of(json, keys.vocab, ModelLimits::kVocab, sizes.vocab, model);
  }
  if (!keys.positions.empty()) {
    model.seq_len = size_of(json, keys.positions, ModelLimits::kSeqLen, sizes.positions, model);
  }
  const std::int64_t ffn = size_or_none(json, keys.ffn, ModelLimits::kFfn, sizes.ffn, model);
  model.ffn = ffn > 0 ? ffn : 4 * model.hidden;
  const std::int64_t kv_heads = size_or_none(json, keys.kv_heads, ModelLimits::kHeads, sizes.kv_heads, model);
  model.kv_heads = kv_heads > 0 ? kv_heads : model.heads;
  model.head_dim = size_or_none(json, keys.head_dim, ModelLimits::kHeadDim, sizes.head_dim, model);
}

ModelKeys keys_of(const JsonReader& json, const SizeKeys& keys) {
  return {.hidden = name_in(json, keys.hidden),
          .heads = name_in(json, keys.heads),
          .kv_heads = name_in(json, keys.kv_heads.empty() ? keys.heads : keys.kv_heads),
          .head_dim = name_in(json, keys.head_dim)};
}

// Where a model that also sees or hears keeps its language model.
std::optional<JsonReader> language_model(const JsonReader& json) {
  for (const std::string_view key : {"text_config", "llm_config", "language_config"}) {
    if (auto found = json.find(key); found && found->value().is_object()) {
      return found;
    }
  }
  return std::nullopt;
}

// Towers of pictures and sounds beside the language model.
std::string other_parts(const JsonReader& json) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : json.members()) {
    const bool is_tower = key.find("vision") != std::string::npos || key.find("audio") != std::string::npos ||
                          key.find("visual") != std::string::npos || key.find("qformer") != std::string::npos ||
                          key.find("speech") != std::string::npos;
    if (is_tower && value.value().is_object()) {
      parts.push_back(key);
    }
  }
  return join_names(parts);
}

// Which layers see a window, layer by layer, as releases from 4.53 on write it. It decides over the family's pattern.
// Source: huggingface/transformers, src/transformers/configuration_utils.py, ALLOWED_LAYER_TYPES.
void read_layer_types(const JsonReader& json, ModelSpec& model) {
  const auto types = json.find("layer_types");
  if (!types) {
    return;
  }
  const std::vector<JsonReader> layers = types->elements();
  if (static_cast<std::int64_t>(layers.size()) != model.layers) {
    types->fail("one type for every layer is needed", fmt::format("{} of them", model.layers));
  }
  std::vector<bool> is_global;
  for (const JsonReader& layer : layers) {
    const std::string name = layer.text();
    if (name != "full_attention" && name != "sliding_attention" && name != "chunked_attention") {
      layer.fail("layers of this type are not supported", "full_attention, sliding_attention, chunked_attention");
    }
    is_global.push_back(name == "full_attention");
  }
  const auto globals = std::count(is_global.begin(), is_global.end(), true);
  if (globals == model.layers) {
    model.window = model.global_every = 0;
    return;
  }
  const std::int64_t stated = model.window > 0 ? model.window : window(json, 0);
  if (stated == 0) {
    types->fail("layers see a window whose size is not stated", "sliding_window");
  }
  model.window = stated;
  const auto first = std::find(is_global.begin(), is_global.end(), true) - is_global.begin();
  model.global_every = globals == 0 ? 0 : first + 1;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const bool follows = model.global_every > 0 && (layer + 1) % model.global_every == 0;
    if (is_global[static_cast<std::size_t>(layer)] != follows) {
      types->fail("this pattern of windows is not supported", "full_attention in every n-th layer, in all, or in none");
    }
  }
}

// Heads that are not the family's own, and weights stored otherwise than they are trained.
void note_other_uses(const JsonReader& json, ModelSpec& model) {
  constexpr auto kOwnHeads =
      std::to_array<std::string_view>({"ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM",
                                       "ForPreTraining", "ForImageClassification", "WithLMHeadModel"});
  if (const auto names = json.find("architectures"); names && names->value().is_array() && !names->value().empty()) {
    const std::string name = names->elements().front().text();
    const bool is_own = std::any_of(kOwnHeads.begin(), kOwnHeads.end(),
                                    [&](std::string_view ending) { return name.find(ending) != std::string::npos; });
    if (!is_own) {
      model.notes.push_back(fmt::format("{} is predicted as the whole language model of its family, {}", name,
                                        model.encoder_layers > 0 && name.find("Encoder") != std::string::npos
                                            ? "decoder and output matrix included"
                                            : "output matrix and loss included"));
    }
  }
  if (states(json, "quantization_config")) {
    model.notes.emplace_back("quantization_config is left out: weights are trained in the job's own formats");
  }
}

}  // namespace

bool states(const JsonReader& json, std::string_view key) {
  return json.value().is_object() && json.value().contains(std::string(key));
}

std::string_view name_in(const JsonReader& json, std::string_view names) {
  for (std::size_t start = 0; start < names.size();) {
    const std::size_t bar = std::min(names.find('|', start), names.size());
    if (const std::string_view name = names.substr(start, bar - start); states(json, name)) {
      return name;
    }
    start = bar + 1;
  }
  return names.substr(0, names.find('|'));
}

Presence presence(const JsonReader& json, std::string_view key, bool when_missing) {
  const auto found = json.find(key);
  return (found ? found->boolean() : when_missing) ? Presence::kPresent : Presence::kAbsent;
}

std::int64_t count(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing) {
  const auto found = json.find(key);
  return found ? found->integer(0, largest) : when_missing;
}

std::int64_t positive(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing) {
  const auto found = json.find(key);
  return found ? found->integer(1, largest) : when_missing;
}

std::int64_t size(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t of_class,
                  ModelSpec& model) {
  if (const auto found = json.find(key)) {
    return found->integer(1, largest);
  }
  const bool is_first = model.notes.empty() || !model.notes.back().starts_with(kDefaulted);
  if (is_first) {
    model.notes.emplace_back(kDefaulted);
  }
  model.notes.back() += fmt::format("{}{} {}", is_first ? "" : ", ", key, of_class);
  return of_class;
}

std::int64_t window(const JsonReader& json, std::int64_t of_class) {
  return states(json, "sliding_window") ? count(json, "sliding_window", ModelLimits::kSeqLen, 0) : of_class;
}

Presence dropout(const JsonReader& json, std::initializer_list<std::string_view> keys, double when_missing) {
  double largest = 0.0;
  for (const std::string_view key : keys) {
    const auto found = json.find(key);
    largest = std::max(largest, found ? found->number(0.0, 1.0) : when_missing);
  }
  return largest > 0.0 ? Presence::kPresent : Presence::kAbsent;
}

}  // namespace huggingface

ModelSpec read_huggingface_model(const JsonReader& json, std::string_view name) {
  namespace hf = huggingface;
  const auto nested = hf::language_model(json);
  const JsonReader text = nested ? *nested : json;
  const hf::ModelType& type = hf::model_type(text.has("model_type") ? text.at("model_type") : json.at("model_type"));
  ModelSpec model = family_defaults(type.family);
  model.name = name;
  hf::read_sizes(text, type, model);
  const JsonReader tying = text.has("tie_word_embeddings") ? text : json;
  model.tied_embeddings = hf::presence(tying, "tie_word_embeddings", type.tied == hf::Tied::kYes);
  if (type.read_details != nullptr) {
    type.read_details(text, model);
  }
  if (model.experts && !has_layer(model, FeedForward::kExperts)) {
    model.notes.emplace_back("no layer is one of those that have experts: all are dense");
    model.experts.reset();
  }
  hf::read_layer_types(text, model);
  hf::note_other_uses(json, model);
  hf::read_activation(text, model);
  hf::read_mask(text, model);
  const ModelKeys keys = hf::keys_of(text, type.keys);
  if (model.head_dim == 0) {
    model.head_dim = derived_head_dim(text, keys, model);
  }
  if (const std::string parts = hf::other_parts(json); !parts.empty()) {
    model.notes.push_back(fmt::format("the language model alone; left out: {}", parts));
  }
  check_model(text, keys, model);
  return model;
}

std::vector<std::string> huggingface_model_types() {
  return huggingface::model_types();
}

}  // namespace trainyard
