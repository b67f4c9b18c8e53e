#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

void set_key(Json& document, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw UserError({.file = "--set",
                     .found = std::string(assignment),
                     .allowed = "key.path=value",
                     .problem = "not an assignment"});
  }
  Json* target = &document;
  std::string_view path = assignment.substr(0, equals);
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    if (!target->is_object() && !target->is_null()) {
      throw UserError({.file = "--set",
                       .found = std::string(assignment),
                       .problem = "the path leads through a value that is not an object"});
    }
    target = &(*target)[std::string(path.substr(0, dot))];
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  const std::string_view value = assignment.substr(equals + 1);
  // Objects and lists are JSON with its rules; anything else that is no JSON is text.
  const bool is_document = value.starts_with('{') || value.starts_with('[');
  Json parsed = is_document ? parse_json(value, fmt::format("--set {}", assignment.substr(0, equals)))
                            : Json::parse(value, nullptr, false);
  *target = parsed.is_discarded() ? Json(std::string(value)) : std::move(parsed);
}

}  // namespace trainyard
