#pragma once
// One row of a table of measured training runs, as a scenario. Columns: validation/published/README.md.
#include <optional>
#include <string>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

struct RunRow {
  std::string id;
  std::string group;  // rows that differ in layout only: same model, GPUs, batch and sequence length
  std::string framework;
  std::string gpu;
  Json scenario;                    // empty when the row is skipped
  bool assumed = false;             // a value that matters is not stated: the framework profile's default is used
  std::string skipped;              // why the row cannot be simulated
  std::string apart;                // why the row is simulated but scored apart: published/runs/tables.json
  std::optional<double> step;       // measured, seconds
  std::optional<double> memory_gb;  // measured, 1e9 bytes
  bool out_of_memory = false;
};

RunRow read_run_row(const CsvTable& table, std::size_t row);

}  // namespace trainyard
