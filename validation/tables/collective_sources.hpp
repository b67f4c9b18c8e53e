#pragma once
// Measured collectives from whatever holds them: tables (CSV), nccl-tests logs, the microbenchmark suite's output.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "validation/tables/nccl_log.hpp"

namespace trainyard {

enum class GpuCheck { kSame, kAny };

struct CollectiveSources {
  std::vector<std::filesystem::path> files;
  std::optional<std::string> cluster;  // that all of it was measured on; tables may say it row by row
  NcclLogOptions logs;
  GpuCheck gpus = GpuCheck::kSame;  // kAny: rows of other GPUs than the cluster's count too
};

struct MeasuredCollectives {
  std::vector<CollectiveMeasurement> rows;  // with their machines, or the reason why they cannot be predicted
  Json machines = Json::array();            // as the suite recorded them
};

// A file is a table when its name ends in .csv or its first line names the columns of one, suite output when its name
// ends in .jsonl, and a log otherwise. Throws UserError for what is none of them, for logs and suite output without a
// cluster, and for options that none of the files has a use for.
MeasuredCollectives read_collectives(const CollectiveSources& sources);

}  // namespace trainyard
