#include "validation/table_rules.hpp"

#include <fmt/format.h>

#include <optional>

#include "sim/base/files.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {
namespace {

// The rules of the table's name, if it has any; read once per process.
std::optional<JsonReader> rules_of(const CsvTable& table) {
  static const std::filesystem::path kPath = home_folder() / "validation/published/runs/tables.json";
  static const Json kDocument = read_json_file(kPath);
  return JsonReader(kDocument, kPath.string()).find(std::filesystem::path(table.file()).stem().string());
}

// {"least": {column: number}, "contains": {column: text}}: all of them must hold.
bool holds(const JsonReader& where, const CsvTable& table, std::size_t row) {
  where.expect_keys({"least", "contains"});
  if (const auto least = where.find("least")) {
    for (const auto& [column, number] : least->members()) {
      constexpr double kMost = 1e15;
      if (table.number(row, column).value_or(0.0) < number.number(0.0, kMost)) {
        return false;
      }
    }
  }
  if (const auto contains = where.find("contains")) {
    for (const auto& [column, text] : contains->members()) {
      if (table.text(row, column).find(text.text()) == std::string::npos) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string reason_apart(const CsvTable& table, std::size_t row) {
  const auto rules = rules_of(table);
  const auto apart = rules ? rules->find("apart") : std::nullopt;
  if (!apart) {
    return {};
  }
  apart->expect_keys({"below_mfu_percent", "above_gpus", "reason"});
  const bool wastes =
      table.number(row, "mfu_percent").value_or(0.0) < apart->at("below_mfu_percent").number(0.0, 100.0);
  const bool large = table.integer(row, "num_gpus").value_or(0) > apart->at("above_gpus").integer(1, 1 << 20);
  return wastes || large ? apart->at("reason").text() : "";
}

void apply_table_rules(const CsvTable& table, std::size_t row, Json& scenario) {
  const auto rules = rules_of(table);
  if (!rules) {
    return;
  }
  rules->expect_keys({"apart", "settings"});
  if (!rules->has("settings")) {
    return;
  }
  for (const JsonReader& rule : rules->at("settings").elements()) {
    rule.expect_keys({"where", "set", "source"});
    if (!holds(rule.at("where"), table, row)) {
      continue;
    }
    for (const auto& [key, value] : rule.at("set").members()) {
      set_key(scenario, fmt::format("{}={}", key, value.value().dump()));
    }
  }
}

}  // namespace trainyard
