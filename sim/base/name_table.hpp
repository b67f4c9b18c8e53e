#pragma once
// Names a user may type, and the nearest one when the typed one is unknown.
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

// The candidate with the smallest edit distance (ties: the first), or nothing when none is similar.
std::optional<std::string> nearest_name(std::string_view typed, std::span<const std::string> candidates);

// "a, b, c"
std::string join_names(std::span<const std::string> names);

// A constant table from names to values of an enumeration: `constexpr NameTable<Recompute, 3> kNames{{...}}`.
template <class Value, std::size_t N>
struct NameTable {
  std::array<std::pair<std::string_view, Value>, N> rows;

  constexpr std::optional<Value> find(std::string_view name) const {
    for (const auto& [row_name, value] : rows) {
      if (row_name == name) {
        return value;
      }
    }
    return std::nullopt;
  }
  constexpr std::string_view name_of(Value value) const {
    for (const auto& [row_name, row_value] : rows) {
      if (row_value == value) {
        return row_name;
      }
    }
    return "?";
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& row : rows) {
      out.emplace_back(row.first);
    }
    return out;
  }
};

}  // namespace trainyard
