#include "sim/base/csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "sim/base/csv_text.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

// Rows may end in separators that a spreadsheet left behind, but not in values without a name.
void check_width(const CsvRecord& record, std::size_t width, const std::string& file) {
  const auto begin = record.fields.begin() + static_cast<std::ptrdiff_t>(std::min(width, record.fields.size()));
  const bool says_more =
      std::any_of(begin, record.fields.end(), [](const std::string& field) { return !field.empty(); });
  if (says_more || record.fields.size() < width) {
    throw UserError({.file = file,
                     .pointer = fmt::format("line {}", record.line),
                     .found = fmt::format("{} fields", record.fields.size()),
                     .allowed = fmt::format("{}", width),
                     .problem = says_more ? "more fields than the header names" : "fewer fields than the header names",
                     .remedy = "write as many separators as the header has, and quotes around text that has its own"});
  }
}

}  // namespace

CsvTable CsvTable::read(const std::filesystem::path& path) {
  CsvTable table;
  table.file_ = path.string();
  std::vector<CsvRecord> records = split_csv(read_file(path), table.file_);
  if (records.empty()) {
    throw UserError({.file = table.file_, .problem = "the table has no header line"});
  }
  table.columns_ = std::move(records.front().fields);
  for (std::size_t i = 0; i < table.columns_.size(); ++i) {
    const std::string& name = table.columns_[i];
    const auto [found, is_new] = table.index_.emplace(name, i);
    if (!is_new && !name.empty()) {
      throw UserError({.file = table.file_,
                       .pointer = fmt::format("line {}, column {}", records.front().line, name),
                       .found = fmt::format("the name as {}. and as {}. column", found->second + 1, i + 1),
                       .allowed = "every name once",
                       .problem = "two columns have the same name",
                       .remedy = "rename one of them, or leave it out"});
    }
  }
  for (std::size_t i = 1; i < records.size(); ++i) {
    check_width(records[i], table.columns_.size(), table.file_);
    records[i].fields.resize(table.columns_.size());
    table.rows_.push_back(std::move(records[i].fields));
    table.lines_.push_back(records[i].line);
  }
  return table;
}

bool CsvTable::has_column(std::string_view column) const {
  return index_.contains(std::string(column));
}

void CsvTable::require_columns(std::initializer_list<std::string_view> columns) const {
  std::vector<std::string> missing;
  for (const std::string_view column : columns) {
    if (!has_column(column)) {
      missing.emplace_back(column);
    }
  }
  if (!missing.empty()) {
    throw UserError({.file = file_,
                     .pointer = "header",
                     .found = join_names(columns_),
                     .allowed = "also " + join_names(missing),
                     .nearest = nearest_name(missing.front(), columns_).value_or(""),
                     .problem = "the table lacks columns that it needs: " + join_names(missing),
                     .remedy = "add them; a field may be empty where the value is not known"});
  }
}

const std::string& CsvTable::text(std::size_t row, std::string_view column) const {
  static const std::string kEmpty;
  const auto found = index_.find(std::string(column));
  return found == index_.end() ? kEmpty : rows_[row][found->second];
}

std::optional<double> CsvTable::number(std::size_t row, std::string_view column) const {
  const std::string& field = text(row, column);
  if (field.empty()) {
    return std::nullopt;
  }
  double value = 0.0;
  const auto [end, status] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (status != std::errc{} || end != field.data() + field.size() || !std::isfinite(value)) {
    fail(row, column, "not a number", "a finite number, with a point before its fraction, or nothing");
  }
  return value;
}

std::optional<double> CsvTable::measurement(std::size_t row, std::string_view column, MeasuredRange range) const {
  const std::optional<double> value = number(row, column);
  if (value && (*value < range.least || *value > range.most)) {
    fail(row, column,
         *value <= 0.0 ? "a measurement is above zero"
                       : fmt::format("too {} for a measurement", *value < range.least ? "small" : "large"),
         fmt::format("a number from {:g} to {:g}, or nothing where it is not known", range.least, range.most));
  }
  return value;
}

std::optional<std::int64_t> CsvTable::integer(std::size_t row, std::string_view column) const {
  const std::optional<double> value = number(row, column);
  if (!value) {
    return std::nullopt;
  }
  if (std::floor(*value) != *value || std::abs(*value) > 9e15) {
    fail(row, column, "not a whole number", "a whole number or nothing");
  }
  return static_cast<std::int64_t>(*value);
}

std::optional<bool> CsvTable::flag(std::size_t row, std::string_view column) const {
  const std::string& field = text(row, column);
  const std::optional<bool> value = flag_named(field);
  if (!value && !field.empty()) {
    fail(row, column, "neither yes nor no", std::string(kFlagNames));
  }
  return value;
}

void CsvTable::fail(std::size_t row, std::string_view column, std::string problem, std::string allowed,
                    std::string nearest) const {
  throw UserError({.file = file_,
                   .pointer = fmt::format("line {}, column {}", lines_[row], column),
                   .found = text(row, column),
                   .allowed = std::move(allowed),
                   .nearest = std::move(nearest),
                   .problem = std::move(problem)});
}

std::optional<bool> flag_named(std::string_view word) {
  const std::string lower = lower_case(std::string(word));
  if (lower == "1" || lower == "true" || lower == "yes") {
    return true;
  }
  if (lower == "0" || lower == "false" || lower == "no") {
    return false;
  }
  return std::nullopt;
}

std::string csv_field(std::string_view value) {
  if (value.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(value);
  }
  std::string quoted = "\"";
  for (const char character : value) {
    quoted += character == '"' ? "\"\"" : std::string(1, character);
  }
  return quoted + "\"";
}

}  // namespace trainyard
