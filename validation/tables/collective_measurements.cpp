#include "validation/tables/collective_measurements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

#include "sim/base/csv.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/base/profile.hpp"
#include "sim/collectives/collective_table.hpp"
#include "validation/tables/collective_places.hpp"
#include "validation/tables/gpu_words.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kSystems = "validation/published/collectives/systems.json";
constexpr std::int64_t kMostRanks = 1 << 20;

// What the rows of one system share beyond what they state.
struct System {
  std::string nccl_assumed;
  std::string shared;
  std::string skip;
};

std::map<std::string, System> read_systems() {
  const auto path = home_folder() / kSystems;
  const Json document = read_json_file(path);
  std::map<std::string, System> systems;
  for (const auto& [name, json] : JsonReader(document, path.string()).at("systems").members()) {
    json.expect_keys({"nccl_assumed", "shared", "skip"});
    const auto text = [&json = json](std::string_view key) {
      const auto found = json.find(key);
      return found ? found->text() : std::string();
    };
    systems[name] = {.nccl_assumed = text("nccl_assumed"), .shared = text("shared"), .skip = text("skip")};
  }
  return systems;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Nothing where the row does not say it.
Bytes read_size(const CsvTable& table, std::size_t row) {
  const std::optional<double> size = table.number(row, "size_bytes");
  if (size && !is_message_size(*size)) {
    table.fail(row, "size_bytes", "this is no message size", std::string(kMeasuredSizes) + ", or nothing");
  }
  return {size.value_or(0.0)};
}

Seconds read_time(const CsvTable& table, std::size_t row) {
  const std::optional<double> micros = table.number(row, "time_us");
  if (micros && !is_measured_time_us(*micros)) {
    table.fail(row, "time_us", "no collective takes this time", std::string(kMeasuredTimes) + ", or nothing");
  }
  return {micros.value_or(0.0) * kMicro};
}

CollectiveMeasurement read_row(const CsvTable& table, std::size_t row, const std::map<std::string, System>& systems) {
  CollectiveMeasurement out;
  out.id = table.has_column("id") ? table.text(row, "id") : fmt::format("row {}", row + 1);
  out.file = table.file();
  out.system = table.text(row, "system");
  out.cluster = table.text(row, "cluster");
  out.gpu = table.text(row, "gpu");
  std::string version = table.text(row, "nccl_version");
  if (const auto system = systems.find(out.system); system != systems.end()) {
    out.shared = system->second.shared;
    out.why_skipped = system->second.skip;
    version = version.empty() ? system->second.nccl_assumed : version;
  }
  out.nccl_version = version.empty() ? "" : nearest_nccl_version(version);
  const auto skip = [&](std::string reason) {
    out.why_skipped = out.why_skipped.empty() ? std::move(reason) : out.why_skipped;
  };
  if (const auto op = collective_op_named(table.text(row, "collective"))) {
    out.op = *op;
  } else {
    skip(fmt::format("operation {} is not predicted",
                     table.text(row, "collective").empty() ? "not stated" : table.text(row, "collective")));
  }
  exclude_for_type(out, table.text(row, "dtype"));
  const auto forced = [&](const char* column, const auto& names, auto& choice) {
    const std::string& typed = table.text(row, column);
    for (const auto& [name, value] : names.rows) {
      if (lower(std::string(name)) == lower(typed)) {
        choice = value;
      }
    }
    if (!typed.empty() && !choice) {
      skip(fmt::format("{} {} is not one of {}", column, typed, join_names(names.names())));
    }
  };
  forced("algorithm", kAlgorithmNames, out.algorithm);
  forced("protocol", kProtocolNames, out.protocol);
  const auto count = [&](const char* column) {
    const std::int64_t value = table.integer(row, column).value_or(0);
    if (value < 0 || value > kMostRanks) {
      skip(fmt::format("{} of {}", column, value));
      return 0;
    }
    return static_cast<int>(value);
  };
  out.ranks = count("ranks");
  out.nodes = count("nodes");
  out.gpus_per_node = count("gpus_per_node");
  if (out.nodes == 0 && out.gpus_per_node > 0) {
    out.nodes = (out.ranks + out.gpus_per_node - 1) / out.gpus_per_node;
  }
  out.size = read_size(table, row);
  out.time = read_time(table, row);
  if (out.ranks == 0 || out.nodes == 0) {
    skip(out.ranks == 0 ? "ranks are not stated" : "nodes are not stated");
  }
  if (out.size.value <= 0.0 || out.time.value <= 0.0) {
    skip(out.size.value <= 0.0 ? "no message size" : "no measured time");
  }
  return out;
}

std::optional<double> number_of(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

// "2.29.2" -> 2 and 29.
std::pair<double, double> version_of(const std::string& text) {
  const std::size_t dot = text.find('.');
  const auto minor = dot == std::string::npos ? std::nullopt : number_of(std::string_view(text).substr(dot + 1));
  return {number_of(text.substr(0, dot)).value_or(0.0), std::floor(minor.value_or(0.0))};
}

// The catalogue's clusters as rows ask for them, each read once.
class Machines {
 public:
  // Nothing when there is no such cluster.
  const ClusterSpec* find(const std::string& name) {
    const auto [found, is_new] = known_.try_emplace(name);
    if (is_new) {
      try {
        found->second = load_cluster(name, "cluster");
      } catch (const UserError&) {
        // The row says it in its reason.
      }
    }
    return found->second ? &*found->second : nullptr;
  }

  std::string default_for(const std::string& gpu) {
    const auto [found, is_new] = defaults_.try_emplace(gpu);
    if (is_new) {
      found->second = default_cluster(gpu).value_or("");
    }
    return found->second;
  }

 private:
  std::map<std::string, std::optional<ClusterSpec>> known_;
  std::map<std::string, std::string> defaults_;
};

bool has_gpu(const ClusterSpec& cluster, const std::string& words) {
  const std::vector<std::string> gpus = cluster.different_gpus();
  return std::any_of(gpus.begin(), gpus.end(), [&](const std::string& gpu) { return may_mean_gpu(words, gpu); });
}

// The reason why a row has no machine; empty once it has one.
std::string find_machine(CollectiveMeasurement& row, const std::optional<std::string>& asked, Machines& machines) {
  // A cluster that the user names instead has to have the GPU of the one that the row states.
  if (asked && row.gpu.empty() && !row.cluster.empty()) {
    const ClusterSpec* stated = machines.find(row.cluster);
    row.gpu = stated != nullptr ? stated->gpu : "";
  }
  if (asked) {
    row.cluster = *asked;
  } else if (row.cluster.empty()) {
    if (row.gpu.empty()) {
      return "neither cluster nor gpu is stated";
    }
    row.cluster = machines.default_for(row.gpu);
    if (row.cluster.empty()) {
      return fmt::format("no cluster of the catalogue has {}", row.gpu);
    }
  }
  const ClusterSpec* cluster = machines.find(row.cluster);
  if (cluster == nullptr) {
    return fmt::format("there is no cluster {}", row.cluster);
  }
  if (!row.gpu.empty() && !has_gpu(*cluster, row.gpu)) {
    return fmt::format("measured on {}, but {} has {}", row.gpu, row.cluster, join_names(cluster->different_gpus()));
  }
  return why_no_place(row, *cluster);
}

}  // namespace

void exclude_for_type(CollectiveMeasurement& row, std::string dtype) {
  const bool reduces = row.op == CollectiveOp::kAllReduce || row.op == CollectiveOp::kReduceScatter;
  if (reduces && (dtype == "int8" || dtype == "uint8")) {
    // Source: NCCL 2.27 src/enqueue.cc, ncclNvlsSupported: 8-bit integers cannot be reduced in the switch.
    row.excluded = {Algorithm::kNvls, Algorithm::kNvlsTree};
  }
  row.dtype = std::move(dtype);
}

std::optional<CollectiveOp> collective_op_named(const std::string& name) {
  return name == "alltoall" ? CollectiveOp::kAllToAll : kCollectiveOpNames.find(name);
}

std::string nearest_nccl_version(const std::string& stated) {
  const auto asked = version_of(stated);
  constexpr double kMinors = 1000.0;  // in a major version
  std::vector<std::string> names = nccl_version_names();
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return version_of(a) < version_of(b); });
  const auto distance = [&](const std::string& name) {
    const auto its = version_of(name);
    return std::abs((its.first - asked.first) * kMinors + its.second - asked.second);
  };
  return *std::min_element(names.begin(), names.end(),
                           [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
}

void find_machines(std::vector<CollectiveMeasurement>& rows, const std::optional<std::string>& asked) {
  Machines machines;
  for (CollectiveMeasurement& row : rows) {
    if (row.why_skipped.empty()) {
      row.why_skipped = find_machine(row, asked, machines);
      row.misplaced = !row.why_skipped.empty();
    }
    if (row.system.empty()) {
      row.system = fmt::format("{}, {}", row.cluster.empty() ? "no cluster" : row.cluster,
                               std::filesystem::path(row.file).stem().string());
    }
  }
}

std::vector<CollectiveMeasurement> read_collective_table(const std::filesystem::path& file) {
  const std::map<std::string, System> systems = read_systems();
  const CsvTable table = CsvTable::read(file);
  table.require_columns({"collective", "ranks", "size_bytes", "time_us"});
  std::vector<CollectiveMeasurement> out;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    out.push_back(read_row(table, row, systems));
  }
  return out;
}

}  // namespace trainyard
