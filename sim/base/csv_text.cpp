#include "sim/base/csv_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "sim/base/text_start.hpp"

namespace trainyard {
namespace {

using namespace std::string_view_literals;

std::string place_of(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, position);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t newline = before.rfind('\n');
  return fmt::format("line {}, byte {}", line, newline == std::string_view::npos ? position + 1 : position - newline);
}

// Bytes of the UTF-8 character that begins here; 0 when none does. Source: RFC 3629, section 4.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) {
      return 0;
    }
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool beyond = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return overlong || beyond ? 0 : length;
}

void check_encoding(std::string_view text, const std::string& file) {
  const std::string remedy = "save the table as UTF-8";
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) {
    throw UserError({.file = file,
                     .pointer = "line 1",
                     .found = "the mark of UTF-16",
                     .allowed = "UTF-8",
                     .problem = "the table is not UTF-8 text",
                     .remedy = remedy});
  }
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = text[i] == '\0' ? 0 : character_length(text.substr(i));
    if (length == 0) {
      throw UserError({.file = file,
                       .pointer = place_of(text, i),
                       .found = fmt::format("byte 0x{:02X}", static_cast<unsigned char>(text[i])),
                       .allowed = "UTF-8 without bytes of zero",
                       .problem = "the table is not UTF-8 text",
                       .remedy = remedy});
    }
    i += length;
  }
}

// Of the header: separators in quotes do not count.
char separator_of(std::string_view text) {
  std::array<std::size_t, 3> counts{};
  constexpr std::string_view kSeparators = ",;\t";
  bool quoted = false;
  for (const char character : text.substr(0, text.find_first_of("\r\n"))) {
    quoted = quoted != (character == '"');
    if (const std::size_t which = kSeparators.find(character); !quoted && which != std::string_view::npos) {
      ++counts.at(which);
    }
  }
  const auto used = std::find_if(counts.begin(), counts.end(), [](std::size_t count) { return count > 0; });
  return used == counts.end() ? ',' : kSeparators[static_cast<std::size_t>(used - counts.begin())];
}

class Splitter {
 public:
  Splitter(std::string_view text, const std::string& file) : text_(text), file_(file), separator_(separator_of(text)) {}

  std::vector<CsvRecord> split() {
    while (at_ < text_.size()) {
      CsvRecord record{.line = line_, .fields = {}};
      do {
        record.fields.push_back(field());
      } while (take_separator());
      take_newline();
      if (record.fields.size() > 1 || !record.fields.front().empty()) {
        records_.push_back(std::move(record));
      }
    }
    return std::move(records_);
  }

 private:
  bool ends_here() const { return at_ == text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }
  bool is_blank() const { return text_[at_] == ' ' || (text_[at_] == '\t' && separator_ != '\t'); }

  bool take_separator() {
    if (at_ == text_.size() || text_[at_] != separator_) {
      return false;
    }
    ++at_;
    return true;
  }
  // "\n", "\r\n" or "\r".
  void take_newline() {
    if (at_ < text_.size()) {
      at_ += text_.substr(at_).starts_with("\r\n") ? 2 : 1;
      ++line_;
    }
  }
  void skip_blanks() {
    while (!ends_here() && is_blank()) {
      ++at_;
    }
  }

  std::string field() {
    skip_blanks();
    if (!ends_here() && text_[at_] == '"') {
      return quoted();
    }
    const std::size_t begin = at_;
    while (!ends_here() && text_[at_] != separator_) {
      ++at_;
    }
    std::string_view content = text_.substr(begin, at_ - begin);
    while (!content.empty() && (content.back() == ' ' || content.back() == '\t')) {
      content.remove_suffix(1);
    }
    return std::string(content);
  }

  std::string quoted() {
    const std::size_t opened = at_++;
    std::string content;
    while (at_ < text_.size()) {
      if (text_[at_] == '"' && !text_.substr(at_).starts_with("\"\"")) {
        ++at_;
        skip_blanks();
        if (!ends_here() && text_[at_] != separator_) {
          fail(at_, "text behind a closing quote", "a separator or the end of the line",
               "double the quotes inside a field");
        }
        return content;
      }
      at_ += text_[at_] == '"' ? 1 : 0;
      line_ += text_[at_] == '\n' ? 1 : 0;
      content += text_[at_++];
    }
    fail(opened, "a quote is never closed", "a closing quote", "close it, or double the quotes inside a field");
  }

  [[noreturn]] void fail(std::size_t position, std::string problem, std::string allowed, std::string remedy) const {
    throw UserError({.file = file_,
                     .pointer = place_of(text_, position),
                     .found = std::string(text_.substr(position, text_.substr(position, 20).find_first_of("\r\n"))),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = std::move(remedy)});
  }

  std::string_view text_;
  const std::string& file_;
  char separator_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::vector<CsvRecord> records_;
};

}  // namespace

std::vector<CsvRecord> split_csv(std::string_view text, const std::string& file) {
  check_encoding(text, file);
  return Splitter(without_mark(text), file).split();
}

}  // namespace trainyard
