#pragma once
// Comma-separated tables with a header line (RFC 4180), as in validation/published.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trainyard {

class CsvTable {
 public:
  // Throws UserError when the file cannot be read, has no header, or a row has more fields than the header.
  static CsvTable read(const std::filesystem::path& path);

  const std::string& file() const { return file_; }
  std::size_t rows() const { return rows_.size(); }
  bool has_column(std::string_view column) const;

  // The field as text; empty when the column or the field is missing.
  const std::string& text(std::size_t row, std::string_view column) const;
  // The field as a number, nothing when empty or missing; throws UserError when it is not a finite number.
  std::optional<double> number(std::size_t row, std::string_view column) const;
  std::optional<std::int64_t> integer(std::size_t row, std::string_view column) const;

 private:
  std::string file_;
  std::unordered_map<std::string, std::size_t> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace trainyard
