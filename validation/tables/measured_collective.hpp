#pragma once
// A measured collective.
#include <optional>
#include <string>
#include <vector>

#include "sim/collectives/base/collective.hpp"

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

}  // namespace trainyard
