#pragma once
// The page of measured costs that is committed.
#include <string>

namespace trainyard {

// Measures every case and writes the page. Takes a minute or two.
void write_performance_page(const std::string& file);

}  // namespace trainyard
