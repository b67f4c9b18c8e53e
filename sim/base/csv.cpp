#include "sim/base/csv.hpp"

#include <csv.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

namespace trainyard {
namespace {

struct Collected {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> current;
};

void on_field(void* field, std::size_t size, void* state) {
  static_cast<Collected*>(state)->current.emplace_back(static_cast<const char*>(field), size);
}

void on_row(int /*terminator*/, void* state) {
  auto* collected = static_cast<Collected*>(state);
  collected->rows.push_back(std::move(collected->current));
  collected->current.clear();
}

}  // namespace

CsvTable CsvTable::read(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  Collected collected;
  csv_parser parser;
  TY_ASSERT(csv_init(&parser, CSV_APPEND_NULL) == 0);
  const std::size_t parsed = csv_parse(&parser, content.data(), content.size(), on_field, on_row, &collected);
  csv_fini(&parser, on_field, on_row, &collected);
  csv_free(&parser);
  CsvTable table;
  table.file_ = path.string();
  if (parsed != content.size() || collected.rows.empty()) {
    throw UserError({.file = table.file_,
                     .problem = collected.rows.empty() ? "the table has no header line" : "not a valid CSV file"});
  }
  for (std::size_t i = 0; i < collected.rows[0].size(); ++i) {
    table.columns_[collected.rows[0][i]] = i;
  }
  const std::size_t width = collected.rows[0].size();
  for (std::size_t i = 1; i < collected.rows.size(); ++i) {
    if (collected.rows[i].size() > width) {
      throw UserError({.file = table.file_,
                       .pointer = fmt::format("row {}", i),
                       .found = fmt::format("{} fields", collected.rows[i].size()),
                       .allowed = fmt::format("{}", width),
                       .problem = "more fields than the header names"});
    }
    collected.rows[i].resize(width);
    table.rows_.push_back(std::move(collected.rows[i]));
  }
  return table;
}

bool CsvTable::has_column(std::string_view column) const {
  return columns_.contains(std::string(column));
}

const std::string& CsvTable::text(std::size_t row, std::string_view column) const {
  static const std::string kEmpty;
  const auto found = columns_.find(std::string(column));
  return found == columns_.end() ? kEmpty : rows_[row][found->second];
}

std::optional<double> CsvTable::number(std::size_t row, std::string_view column) const {
  const std::string& field = text(row, column);
  if (field.empty()) {
    return std::nullopt;
  }
  double value = 0.0;
  const auto [end, status] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (status != std::errc{} || end != field.data() + field.size() || !std::isfinite(value)) {
    throw UserError({.file = file_,
                     .pointer = fmt::format("row {}, column {}", row + 1, column),
                     .found = field,
                     .allowed = "a finite number or nothing",
                     .problem = "not a number"});
  }
  return value;
}

std::optional<std::int64_t> CsvTable::integer(std::size_t row, std::string_view column) const {
  const std::optional<double> value = number(row, column);
  if (!value) {
    return std::nullopt;
  }
  if (std::floor(*value) != *value || std::abs(*value) > 9e15) {
    throw UserError({.file = file_,
                     .pointer = fmt::format("row {}, column {}", row + 1, column),
                     .found = text(row, column),
                     .allowed = "a whole number or nothing",
                     .problem = "not a whole number"});
  }
  return static_cast<std::int64_t>(*value);
}

}  // namespace trainyard
