#pragma once
// Measured collectives: what each row of a table was measured on, and how its source counts.
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
  std::string system;   // rows measured on one machine by one tool
  std::string cluster;  // a catalogue name or a path
  std::string gpu;      // as stated: a catalogue name, a family or a device name; empty: not stated
  std::string nccl_version;
  std::string shared;  // not empty: why the rows are scored apart
  CollectiveOp op = CollectiveOp::kAllReduce;
  int ranks = 0;
  int nodes = 0;
  int gpus_per_node = 0;  // of the machine; 0: not stated
  Bytes size{};
  Seconds time{};
  std::optional<Algorithm> algorithm;  // forced by the measurement; absent: NCCL's choice
  std::optional<Protocol> protocol;    // likewise
  std::vector<Algorithm> excluded;     // those that cannot serve the row's number format
  std::string dtype;                   // where it is stated
  std::string why_skipped;             // not empty: the row is not predicted
  bool misplaced = false;  // it is skipped because its machine is not known or not the one that was asked for
};

// What tables and logs may say of a size and a time; a time of 1e-9 to 1e6 s, as of the suite's records.
inline constexpr const char* kMeasuredSizes = "whole bytes from 1 to 1152921504606846976 (1048576T)";
inline constexpr const char* kMeasuredTimes = "0.001 to 1e12 us";
inline bool is_measured_time_us(double micros) {
  return micros >= 1e-3 && micros <= 1e12;
}

// Sets the number format and with it the algorithms that cannot reduce it.
void exclude_for_type(CollectiveMeasurement& row, std::string dtype);

// An operation by its own name or by that of nccl-tests' program; nothing when there is none.
std::optional<CollectiveOp> collective_op_named(const std::string& name);

// The tuner tables nearest to a stated version ("2.29.2"), of two equally near ones the older.
std::string nearest_nccl_version(const std::string& stated);

// Finds the machine of every row that is not skipped already: `asked` where the user named one, else the row's own
// `cluster`, else the default cluster of its `gpu`. Rows that state another GPU than the cluster has, ranks it has no
// place for, or no machine at all, are skipped with the reason.
void find_machines(std::vector<CollectiveMeasurement>& rows, const std::optional<std::string>& asked);

// Reads a table with the columns of nccl_*.csv (validation/README.md). What a row does not state and its `system` is
// known to share (validation/published/collectives/systems.json) is assumed; nothing that a row states is overruled.
// Throws UserError when a needed column is missing, and for sizes and times that no measurement has.
std::vector<CollectiveMeasurement> read_collective_table(const std::filesystem::path& file);

}  // namespace trainyard
