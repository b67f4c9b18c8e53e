#pragma once
// Published collective benchmarks: which catalogue cluster each row was measured on, and how its source counts.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/collectives/collective.hpp"

namespace trainyard {

// One row, ready to be predicted, or the reason why it cannot be.
struct CollectiveMeasurement {
  std::string id;
  std::string file;
  std::string system;  // rows measured on one machine by one tool
  std::string cluster;
  std::string nccl_version;
  std::string shared;  // not empty: why the rows are scored apart
  CollectiveOp op = CollectiveOp::kAllReduce;
  int ranks = 0;
  int nodes = 0;
  Bytes size{};
  Seconds time{};
  std::string algorithm;              // forced by the measurement; empty: NCCL's choice
  std::vector<std::string> excluded;  // algorithms that cannot serve the row's number format
  std::string dtype;                  // where it is stated
  std::string why_skipped;            // not empty: the row is not predicted
};

// Sets the number format and with it the algorithms that cannot reduce it.
void exclude_for_type(CollectiveMeasurement& row, std::string dtype);

// An operation by its own name or by that of nccl-tests' program; nothing when there is none.
std::optional<CollectiveOp> collective_op_named(const std::string& name);

// Reads files with the columns of nccl_*.csv. What the rows' sources leave unsaid is in
// validation/published/collectives/systems.json.
std::vector<CollectiveMeasurement> read_collective_measurements(const std::vector<std::filesystem::path>& files);

}  // namespace trainyard
