#include "sim/base/xml_text.hpp"

#include "sim/base/json_text.hpp"

namespace trainyard {

std::string xml_text(std::string_view text) {
  constexpr const char* kReplacement = "\xef\xbf\xbd";  // U+FFFD
  // JSON knows what is UTF-8.
  const std::string valid = nlohmann::json::parse(json_text(std::string(text))).get<std::string>();
  std::string out;
  for (const char c : valid) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace trainyard
