#pragma once
// The architecture of a row of a table of training runs.
#include <string>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"
#include "validation/tables/run_columns.hpp"

namespace trainyard {

struct RunModel {
  Json model;                        // as a scenario holds it; null where it is not stated
  std::string skipped;               // why there is none
  std::vector<std::string> assumed;  // in words: what the row states and the model does not take
  bool has_sequences = true;         // of tokens, whose length matters
};

// From the row's columns; a row without `arch` and sizes may name a model of the catalogue or a config file (relative
// to the table or to the working folder), and of the former state parts that differ. Throws UserError for fields that
// are no numbers or flags, whether or not the row can be simulated.
RunModel read_run_model(const CsvTable& table, std::size_t row);

// The parts of the model that the row's own columns state, and the keys of the scenario that they set. Throws as
// read_run_model.
std::vector<RunSetting> stated_sizes(const CsvTable& table, std::size_t row);

}  // namespace trainyard
