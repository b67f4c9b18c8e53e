#pragma once
// nccl-tests' output, read: what a user has who measured a cluster.
#include <optional>
#include <string>
#include <vector>

#include "validation/collective_measurements.hpp"

namespace trainyard {

// Every line of results of a log as a row; its cluster is not known yet. A log may hold several runs one after the
// other. The operation follows from the name of the program (all_reduce_perf) where the log has it, else it is `op`;
// ranks and nodes from the list of devices; the time is that out of place. Throws UserError, naming the line, for logs
// without results, operation or devices, and for runs whose results were wrong.
// Format: NVIDIA/nccl-tests, src/common.cu; the columns are found by their header, which differs between versions.
std::vector<CollectiveMeasurement> read_nccl_log(const std::string& file, std::optional<CollectiveOp> op);

}  // namespace trainyard
