#pragma once
// One row of a table of measured training runs, as a scenario. Columns: validation/published/runs/README.md.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

struct RunRow {
  std::string id;
  std::string group;  // rows that differ in layout only: same model, GPUs, batch and sequence length
  std::string framework;
  std::string gpu;
  // What is simulated: first the row with the profile's default where the source leaves a setting open (the first of
  // the values that it names, where the default is none of them), then every other reading of it. Nothing here has seen
  // what was measured. Empty when the row is skipped.
  std::vector<Json> scenarios;
  std::vector<std::string> assumed;  // in words: what is not stated or not modelled, so that a default is used
  std::vector<std::string> open;     // settings of which the source names several values: "p2p: batched or overlapped"
  std::string skipped;               // why the row cannot be simulated
  std::optional<double> step;        // measured, seconds
  std::optional<double> memory_gb;   // measured, 1e9 bytes
  bool out_of_memory = false;
};

// Throws UserError, with line and column, when the table lacks columns that every row needs, for fields that are not of
// their column's kind, and for measurements that are not above zero.
void check_run_columns(const CsvTable& table);
RunRow read_run_row(const CsvTable& table, std::size_t row);

}  // namespace trainyard
