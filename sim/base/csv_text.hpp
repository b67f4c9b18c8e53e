#pragma once
// The text of a table as records of fields.
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct CsvRecord {
  std::size_t line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

// Records of RFC 4180, without empty lines; blanks around a field that is not in quotes are not part of it. The
// separator is a comma, or where the first line has none a semicolon or else a tab. Throws UserError with line and
// column of `file` for UTF-16, bytes of zero, text that is not UTF-8, an open quote, and text behind a closing one.
std::vector<CsvRecord> split_csv(std::string_view text, const std::string& file);

}  // namespace trainyard
