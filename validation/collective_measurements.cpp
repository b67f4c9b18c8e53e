#include "validation/collective_measurements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "sim/base/csv.hpp"
#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kSystems = "validation/published/collectives/systems.json";
constexpr double kMicro = 1e-6;

// The first rule whose columns all contain the given texts tells what a row is.
struct Rule {
  std::vector<std::pair<std::string, std::string>> where;
  std::string system;
  std::string cluster;
  std::string nccl;
  std::string skip;
  std::string shared;
  std::optional<int> ranks;
  std::optional<int> nodes;
  std::optional<std::string> op;
  bool size_is_shard = false;
};

std::string text_or_empty(const JsonReader& json, std::string_view key) {
  const auto found = json.find(key);
  return found ? found->text() : std::string();
}

std::vector<Rule> read_rules() {
  const auto path = home_folder() / kSystems;
  const Json document = read_json_file(path);
  const JsonReader json(document, path.string());
  std::vector<Rule> rules;
  for (const JsonReader& row : json.at("rules").elements()) {
    row.expect_keys({"system", "where", "cluster", "nccl", "skip", "shared", "ranks", "nodes", "op", "size_is"});
    Rule rule{.system = row.at("system").text(),
              .cluster = text_or_empty(row, "cluster"),
              .nccl = text_or_empty(row, "nccl"),
              .skip = text_or_empty(row, "skip"),
              .shared = text_or_empty(row, "shared")};
    for (const auto& [column, wanted] : row.at("where").members()) {
      rule.where.emplace_back(column, wanted.text());
    }
    if (const auto ranks = row.find("ranks")) {
      rule.ranks = static_cast<int>(ranks->integer(1, 1 << 20));
    }
    if (const auto nodes = row.find("nodes")) {
      rule.nodes = static_cast<int>(nodes->integer(1, 1 << 20));
    }
    if (const auto op = row.find("op")) {
      rule.op = op->text();
    }
    rule.size_is_shard = text_or_empty(row, "size_is") == "shard";
    rules.push_back(std::move(rule));
  }
  return rules;
}

const Rule* find_rule(const std::vector<Rule>& rules, const CsvTable& table, std::size_t row) {
  const auto matches = [&](const Rule& rule) {
    return std::all_of(rule.where.begin(), rule.where.end(), [&](const auto& wanted) {
      return table.text(row, wanted.first).find(wanted.second) != std::string::npos;
    });
  };
  const auto found = std::find_if(rules.begin(), rules.end(), matches);
  return found == rules.end() ? nullptr : &*found;
}

CollectiveMeasurement read_row(const CsvTable& table, std::size_t row, const std::vector<Rule>& rules) {
  CollectiveMeasurement out;
  out.id = table.text(row, "id");
  out.file = std::filesystem::path(table.file()).filename().string();
  const Rule* rule = find_rule(rules, table, row);
  if (rule == nullptr) {
    out.system = "unknown";
    out.why_skipped = fmt::format("no rule of {} says what machine this is", kSystems);
    return out;
  }
  out.system = rule->system;
  out.cluster = rule->cluster;
  out.nccl_version = rule->nccl;
  out.shared = rule->shared;
  out.why_skipped = rule->skip;
  const std::string& protocol_free_name = table.text(row, "algorithm");
  std::transform(protocol_free_name.begin(), protocol_free_name.end(), std::back_inserter(out.algorithm),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto op = collective_op_named(rule->op.value_or(table.text(row, "collective")));
  const auto ranks = rule->ranks ? std::optional<std::int64_t>(*rule->ranks) : table.integer(row, "ranks");
  const auto nodes = rule->nodes ? std::optional<std::int64_t>(*rule->nodes) : table.integer(row, "nodes");
  const auto size = table.number(row, "size_bytes");
  const auto time = table.number(row, "time_us");
  if (!out.why_skipped.empty()) {
    return out;
  }
  if (!op || !ranks || !nodes || !size || !time || *size <= 0.0 || *time <= 0.0) {
    out.why_skipped = !op ? "unknown operation" : "ranks, nodes, size or time is missing";
    return out;
  }
  out.op = *op;
  if (table.text(row, "notes").find("dtype int8") != std::string::npos) {
    exclude_for_type(out, "int8");
  }
  out.ranks = static_cast<int>(*ranks);
  out.nodes = static_cast<int>(*nodes);
  // A table of shard sizes counts its time per shard as well; total over total is the same rate.
  const double shards = rule->size_is_shard ? static_cast<double>(*ranks) : 1.0;
  out.size = {*size * shards};
  out.time = {*time * shards * kMicro};
  return out;
}

}  // namespace

void exclude_for_type(CollectiveMeasurement& row, std::string dtype) {
  const bool reduces = row.op == CollectiveOp::kAllReduce || row.op == CollectiveOp::kReduceScatter;
  if (reduces && (dtype == "int8" || dtype == "uint8")) {
    // Source: NCCL 2.27 src/enqueue.cc, ncclNvlsSupported: 8-bit integers cannot be reduced in the switch.
    row.excluded = {"nvls", "nvls_tree"};
  }
  row.dtype = std::move(dtype);
}

std::optional<CollectiveOp> collective_op_named(const std::string& name) {
  return name == "alltoall" ? CollectiveOp::kAllToAll : kCollectiveOpNames.find(name);
}

std::vector<CollectiveMeasurement> read_collective_measurements(const std::vector<std::filesystem::path>& files) {
  const std::vector<Rule> rules = read_rules();
  std::vector<CollectiveMeasurement> out;
  for (const std::filesystem::path& file : files) {
    const CsvTable table = CsvTable::read(file);
    for (std::size_t row = 0; row < table.rows(); ++row) {
      out.push_back(read_row(table, row, rules));
    }
  }
  return out;
}

}  // namespace trainyard
