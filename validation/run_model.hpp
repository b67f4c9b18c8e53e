#pragma once
// The architecture of a row of a table of training runs.
#include <string>

#include "sim/base/csv.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

struct RunModel {
  Json model;           // as a scenario holds it; null where it is not stated
  std::string skipped;  // why there is none
};

// From the row's columns; a row without `arch` and sizes may name a model of the catalogue or a config file (relative
// to the table or to the working folder), and of the former state sizes that differ. Throws UserError for fields that
// are no numbers or flags.
RunModel read_run_model(const CsvTable& table, std::size_t row);

}  // namespace trainyard
