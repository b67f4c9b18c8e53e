#include "models/model_reading.hpp"

#include <fmt/format.h>

namespace trainyard {

std::int64_t derived_head_dim(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model) {
  if (model.hidden % model.heads != 0) {
    throw UserError({.file = json.file(),
                     .pointer = fmt::format("{}/{}", json.pointer(), keys.heads),
                     .found = fmt::format("{}", model.heads),
                     .allowed = fmt::format("a divisor of {} = {}", keys.hidden, model.hidden),
                     .problem = "the hidden size does not divide among the attention heads",
                     .remedy = keys.head_dim.empty()
                                   ? fmt::format("change {}", keys.heads)
                                   : fmt::format("change {}, or state {}", keys.heads, keys.head_dim)});
  }
  return model.hidden / model.heads;
}

void check_model(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model) {
  if (model.heads % model.kv_heads != 0) {
    throw UserError({.file = json.file(),
                     .pointer = fmt::format("{}/{}", json.pointer(), keys.kv_heads),
                     .found = fmt::format("{}", model.kv_heads),
                     .allowed = fmt::format("a divisor of {} = {}", keys.heads, model.heads),
                     .problem = "query heads do not divide among the key and value heads",
                     .remedy = fmt::format("change {} or {}", keys.kv_heads, keys.heads)});
  }
  // Upper bound in floating point, so that the exact count cannot overflow.
  constexpr double kMostParameters = 1e17;
  const auto hidden = static_cast<double>(model.hidden);
  const double bound = static_cast<double>(model.layers) * hidden *
                           (4.0 * static_cast<double>(model.heads) * static_cast<double>(model.head_dim) +
                            3.0 * static_cast<double>(model.ffn)) +
                       hidden * (2.0 * static_cast<double>(model.vocab) + static_cast<double>(model.seq_len));
  if (bound > kMostParameters) {
    throw UserError({.file = json.file(),
                     .pointer = json.pointer().empty() ? "/" : json.pointer(),
                     .found = fmt::format("about {:.1e} parameters", bound),
                     .allowed = fmt::format("at most {:.0e}", kMostParameters),
                     .problem = "the model is too large to be meant",
                     .remedy = "check the sizes"});
  }
}

}  // namespace trainyard
