// What the models of a family have in common, unless their file says otherwise.
#include "models/model_reading.hpp"

namespace trainyard {
namespace {

// ModelSpec's own defaults are those of gpt: GPT-2's layer.
ModelSpec gpt() {
  return {};
}

ModelSpec llama() {
  ModelSpec model;
  model.normalization = Normalization::kRmsNorm;
  model.activation = Activation::kSwiGlu;
  model.positions = Positions::kRotary;
  model.linear_bias = Presence::kAbsent;
  model.qkv_bias = Presence::kAbsent;
  model.tied_embeddings = Presence::kAbsent;
  model.dropout = Presence::kAbsent;
  return model;
}

ModelSpec bert() {
  ModelSpec model;
  model.mask = Mask::kFull;
  model.token_types = 2;
  model.pooler_and_mlm_head = Presence::kPresent;
  model.embedding_norm = Presence::kPresent;
  model.final_norm = Presence::kAbsent;
  return model;
}

// Llama's layer with queries and keys normalised.
ModelSpec qwen3() {
  ModelSpec model = llama();
  model.query_key_norm = Presence::kPresent;
  return model;
}

ModelSpec gemma() {
  ModelSpec model = llama();
  model.activation = Activation::kGeGlu;
  model.tied_embeddings = Presence::kPresent;
  return model;
}

ModelSpec mpt() {
  ModelSpec model;
  model.positions = Positions::kAlibi;
  model.linear_bias = Presence::kAbsent;
  model.qkv_bias = Presence::kAbsent;
  model.norm_bias = Presence::kAbsent;
  model.dropout = Presence::kAbsent;
  return model;
}

ModelSpec bloom() {
  ModelSpec model;
  model.positions = Positions::kAlibi;
  model.embedding_norm = Presence::kPresent;
  model.dropout = Presence::kAbsent;
  return model;
}

ModelSpec t5() {
  ModelSpec model;
  model.normalization = Normalization::kRmsNorm;
  model.activation = Activation::kRelu;
  model.positions = Positions::kRelative;
  model.relative_buckets = 32;
  model.linear_bias = Presence::kAbsent;
  model.qkv_bias = Presence::kAbsent;
  return model;
}

ModelSpec vit() {
  ModelSpec model;
  model.mask = Mask::kFull;
  model.tied_embeddings = Presence::kAbsent;
  model.dropout = Presence::kAbsent;
  return model;
}

using FamilyDefaults = ModelSpec (*)();
constexpr NameTable<FamilyDefaults, 9> kFamilies{{{{"gpt", gpt},
                                                   {"llama", llama},
                                                   {"bert", bert},
                                                   {"qwen3", qwen3},
                                                   {"gemma", gemma},
                                                   {"mpt", mpt},
                                                   {"bloom", bloom},
                                                   {"t5", t5},
                                                   {"vit", vit}}}};

}  // namespace

std::vector<std::string> model_families() {
  return kFamilies.names();
}

ModelSpec family_defaults(const JsonReader& family) {
  ModelSpec model = family.choice(kFamilies)();
  model.family = family.text();
  return model;
}

ModelSpec family_defaults(std::string_view family) {
  ModelSpec model = (*kFamilies.find(family))();
  model.family = family;
  return model;
}

}  // namespace trainyard
