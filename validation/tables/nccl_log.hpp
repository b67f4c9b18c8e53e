#pragma once
// nccl-tests' output, read: what a user has who measured a cluster.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/work.hpp"
#include "validation/tables/collective_measurements.hpp"

namespace trainyard {

// What the user says about logs, beside what stands in them.
struct NcclLogOptions {
  std::optional<CollectiveOp> op;  // holds whatever programs the log names
  std::optional<int> ranks;        // of logs without a list of devices
  std::optional<int> nodes;        // where host names do not tell the nodes apart
};

// Every line of results of a log as a row; its cluster is not known yet. A log may hold several runs one after the
// other, and lines tagged by the launcher. The operation follows from nccl-tests' own header, else from the command
// line that started the run; that a build mentions a program does not count. Ranks, nodes and GPU follow from the list
// of devices; the time is that out of place. Lines that end early and programs that are not predicted are skipped rows.
// Throws UserError, naming the line, for logs without results, operation or devices, for ranks listed twice (the mixed
// output of several jobs), for sizes, counts and times that no run has, and for runs whose results were wrong.
// Format: NVIDIA/nccl-tests, src/common.cu; the columns are found by their header, which differs between versions.
std::vector<CollectiveMeasurement> read_nccl_log(const std::string& file, const NcclLogOptions& options = {});

}  // namespace trainyard
