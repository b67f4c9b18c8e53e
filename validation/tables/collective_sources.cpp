#include "validation/tables/collective_sources.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "topologies/cluster.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {
namespace {

enum class SourceKind { kTable, kSuite, kLog };

SourceKind kind_of(const std::filesystem::path& file) {
  if (is_suite_output(file.string())) {
    return SourceKind::kSuite;
  }
  if (file.extension() == ".csv") {
    return SourceKind::kTable;
  }
  const std::string text = read_file(file);
  return text.substr(0, text.find('\n')).find("size_bytes") != std::string::npos ? SourceKind::kTable
                                                                                 : SourceKind::kLog;
}

void refuse_without_cluster(const std::filesystem::path& file) {
  throw UserError({.file = file.string(),
                   .found = "no --cluster",
                   .allowed = "a cluster of the catalogue or a cluster file",
                   .problem = "this file does not say which cluster was measured",
                   .remedy = "name it with --cluster"});
}

// Options that describe logs are of no use to tables.
void refuse_idle_options(const CollectiveSources& sources) {
  const std::array<std::pair<const char*, bool>, 4> given = {{{"--op", sources.logs.op.has_value()},
                                                              {"--ranks", sources.logs.ranks.has_value()},
                                                              {"--nodes", sources.logs.nodes.has_value()},
                                                              {"--any-gpu", sources.gpus == GpuCheck::kAny}}};
  const bool has_log = std::any_of(sources.files.begin(), sources.files.end(),
                                   [](const auto& file) { return kind_of(file) == SourceKind::kLog; });
  for (const auto& [option, is_given] : given) {
    const bool asks_cluster = option == std::string_view("--any-gpu");
    if (is_given && (asks_cluster ? !sources.cluster : !has_log)) {
      throw UserError({.file = option,
                       .allowed = asks_cluster ? "beside --cluster" : "with an nccl-tests log",
                       .problem = "this option is of no use here",
                       .remedy = "leave it out"});
    }
  }
}

std::vector<CollectiveMeasurement> read_one(const std::filesystem::path& file, const NcclLogOptions& options,
                                            Json& machines) {
  switch (kind_of(file)) {
    case SourceKind::kTable:
      return read_collective_table(file);
    case SourceKind::kLog:
      return read_nccl_log(file.string(), options);
    case SourceKind::kSuite:
      break;
  }
  SuiteRecords suite = read_suite(file.string(), nullptr);
  for (Json& machine : suite.machines) {
    const std::string gpu = machine.value("gpu", "");
    for (CollectiveMeasurement& row : suite.collectives) {
      row.gpu = gpu;
    }
    machines.push_back(std::move(machine));
  }
  return std::move(suite.collectives);
}

}  // namespace

MeasuredCollectives read_collectives(const CollectiveSources& sources) {
  if (sources.cluster) {
    load_cluster(*sources.cluster, "--cluster");
  }
  refuse_idle_options(sources);
  MeasuredCollectives out;
  for (const std::filesystem::path& file : sources.files) {
    if (!sources.cluster && kind_of(file) != SourceKind::kTable) {
      refuse_without_cluster(file);
    }
    for (CollectiveMeasurement& row : read_one(file, sources.logs, out.machines)) {
      if (sources.gpus == GpuCheck::kAny) {
        row.gpu.clear();
        row.cluster.clear();
      }
      out.rows.push_back(std::move(row));
    }
  }
  find_machines(out.rows, sources.cluster);
  return out;
}

}  // namespace trainyard
