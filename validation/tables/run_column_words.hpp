#pragma once
// Words of sources in the scenario's words, and columns whose meaning takes more than a word.
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/csv.hpp"
#include "validation/tables/stated_settings.hpp"

namespace trainyard {

// The scenario's word for what a column says: "adamw" is "adam" as an optimizer. Nothing: it has none, and the column's
// meaning is then assumed. Columns that know no list of words keep theirs, and the scenario's reader judges them.
std::optional<std::string> scenario_word(std::string_view column, const std::string& word);

// A column with a meaning of its own.
struct SpecialColumn {
  std::string_view name;
  void (*read)(const CsvTable& table, std::size_t row, StatedSettings& out);
};
std::span<const SpecialColumn> special_columns();

}  // namespace trainyard
