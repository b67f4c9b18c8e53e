#pragma once
// How a text begins: behind the mark that spreadsheets and editors put in front of UTF-8.
#include <string_view>

namespace trainyard {

inline constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

inline std::string_view without_mark(std::string_view text) {
  return text.starts_with(kUtf8Mark) ? text.substr(kUtf8Mark.size()) : text;
}

// The first character that is no blank; '\0' where there is none.
inline char first_character(std::string_view text) {
  text = without_mark(text);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? '\0' : text[first];
}

}  // namespace trainyard
