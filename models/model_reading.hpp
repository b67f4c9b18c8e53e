#pragma once
// The room's own: reading a model from either kind of JSON, and the checks that both share.
#include <string_view>

#include "models/model.hpp"

namespace trainyard {

// Largest accepted sizes. They are far beyond any model and keep every product of shapes inside 64 bits.
struct ModelLimits {
  static constexpr std::int64_t kLayers = 100'000;
  static constexpr std::int64_t kHidden = 1 << 20;
  static constexpr std::int64_t kHeads = 1 << 16;
  static constexpr std::int64_t kHeadDim = 1 << 16;
  static constexpr std::int64_t kFfn = 1 << 24;
  static constexpr std::int64_t kVocab = 1 << 27;
  static constexpr std::int64_t kSeqLen = 1 << 30;
  static constexpr std::int64_t kExperts = 1 << 16;
  static constexpr std::int64_t kImageSide = 1 << 16;
};

ModelSpec read_catalogue_model(const JsonReader& json, std::string_view name);
ModelSpec read_huggingface_model(const JsonReader& json, std::string_view name);

// What a list of layers has in place of a transformer's sizes.
ModelSpec read_network_model(const JsonReader& json, std::string_view name);

// What the models of a family have in common, unless their file says otherwise.
ModelSpec family_defaults(const JsonReader& family);
ModelSpec family_defaults(std::string_view family);  // a family that there is

// Keys under which a kind of JSON writes the sizes that must agree with one another, for the messages.
struct ModelKeys {
  std::string_view hidden;
  std::string_view heads;
  std::string_view kv_heads;
  std::string_view head_dim;  // empty where the format has no such key
};

// The head dimension where the file does not state it: hidden / heads, which must divide. Throws UserError.
std::int64_t derived_head_dim(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model);
// Query heads must be a multiple of the key and value heads, and the whole must stay countable. Throws UserError.
void check_model(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model);

}  // namespace trainyard
