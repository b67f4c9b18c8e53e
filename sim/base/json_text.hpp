#pragma once
// JSON as text for a file or a message. Bytes that are no UTF-8 (of a path, say) are replaced by U+FFFD.
#include <nlohmann/json.hpp>
#include <string>

namespace trainyard {

inline std::string json_text(const nlohmann::ordered_json& value, int indent = -1) {
  return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// A value as a user would type it: text without its quotes.
inline std::string plain_text(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

}  // namespace trainyard
