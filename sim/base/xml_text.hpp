#pragma once
// Text inside SVG and other XML.
#include <string>
#include <string_view>

namespace trainyard {

// With markup escaped; control characters and bytes that are no UTF-8, which XML does not have, become U+FFFD.
std::string xml_text(std::string_view text);

}  // namespace trainyard
