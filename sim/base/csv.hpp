#pragma once
// Tables with a header line (RFC 4180), as in validation/published: separated by commas, or by semicolons or tabs where
// the header has no comma.
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trainyard {

// The least and the most that a measurement of a kind can be.
struct MeasuredRange {
  double least;
  double most;
  // The same in another unit, of which `per_unit` are one of these.
  constexpr MeasuredRange in(double per_unit) const { return {least * per_unit, most * per_unit}; }
};
inline constexpr MeasuredRange kMeasuredSeconds{1e-9, 1e9};
inline constexpr MeasuredRange kMeasuredBytes{1.0, 1e18};
inline constexpr MeasuredRange kMeasuredBytesPerSecond{1e3, 1e18};

class CsvTable {
 public:
  // Throws UserError, with the line, when the file cannot be read, is no UTF-8 text (a mark at its beginning is
  // skipped), has no header, names a column twice, leaves a quote open, or has a row that is shorter than the header or
  // says more than it.
  static CsvTable read(const std::filesystem::path& path);

  const std::string& file() const { return file_; }
  std::size_t rows() const { return rows_.size(); }
  bool has_column(std::string_view column) const;
  const std::vector<std::string>& columns() const { return columns_; }  // in the file's order
  // Throws UserError that names those of the columns that the table lacks, and the nearest of its own.
  void require_columns(std::initializer_list<std::string_view> columns) const;

  // The field as text; empty when the column or the field is missing.
  const std::string& text(std::size_t row, std::string_view column) const;
  // The field as a number, nothing when empty or missing; throws UserError when it is not a finite number.
  std::optional<double> number(std::size_t row, std::string_view column) const;
  // A measured figure: above zero and within what can be measured, or nothing; throws UserError for others.
  std::optional<double> measurement(std::size_t row, std::string_view column, MeasuredRange range) const;
  std::optional<std::int64_t> integer(std::size_t row, std::string_view column) const;
  // The field as yes or no: 1, true or yes, and 0, false or no, in any case; throws UserError for other words.
  std::optional<bool> flag(std::size_t row, std::string_view column) const;
  // Throws UserError about the field: file, line, column and what was found.
  [[noreturn]] void fail(std::size_t row, std::string_view column, std::string problem, std::string allowed,
                         std::string nearest = "") const;

 private:
  std::string file_;
  std::vector<std::string> columns_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> lines_;  // of every row: where it begins in the file, from 1
};

// The words for yes and no, in any case, and what they say.
inline constexpr std::string_view kFlagNames = "1, true, yes, 0, false, no or nothing";
std::optional<bool> flag_named(std::string_view word);

// One field as a table holds it: in quotes where it needs them.
std::string csv_field(std::string_view value);

}  // namespace trainyard
