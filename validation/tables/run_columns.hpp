#pragma once
// What the columns of a table of training runs mean: which key of the scenario each sets. The meanings in words are in
// validation/published/runs/README.md.
#include <string>
#include <vector>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"
#include "validation/tables/stated_settings.hpp"

namespace trainyard {

// What a row states of its layout and recipe. A field may name several values, "off|detail" or "fp16-or-bf16". A column
// whose name is a dotted path ("training.data_parallel.bucket") sets that key. Throws UserError, with line and column,
// for fields that are not of the column's kind. A column with an empty name between dots sets nothing and is refused.
StatedSettings read_settings(const CsvTable& table, std::size_t row);

// Columns that are not read and whose names are near to one that would be, in words.
std::vector<std::string> doubtful_columns(const CsvTable& table);

// Throws UserError, with line and columns, when two columns of the row set one key, or one sets a part of what another
// sets as a whole.
void refuse_set_twice(const CsvTable& table, std::size_t row, const std::vector<RunSetting>& settings);

// document.a.b = value for the path "a.b". False, and nothing is set, where the path leads through a value that is no
// object.
[[nodiscard]] bool set_path(Json& document, std::string_view path, Json value);

}  // namespace trainyard
