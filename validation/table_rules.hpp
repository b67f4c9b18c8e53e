#pragma once
// What holds for whole tables of runs and stands in none of their columns: rules in published/runs/tables.json, by the
// table's name. A rule reads columns and sets keys of the scenario; none names a row.
#include <string>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

// Why a measured row is scored apart from the others of its table; empty: it is not.
std::string reason_apart(const CsvTable& table, std::size_t row);

// The scenario of a row with every rule of its table that the row meets, in order. Throws UserError for a rule that is
// not of the form {"where": {...}, "set": {key.path: value}, "source": text}.
void apply_table_rules(const CsvTable& table, std::size_t row, Json& scenario);

}  // namespace trainyard
