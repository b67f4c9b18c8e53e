#pragma once
// Faults in the small languages of options: --sizes, --counts, --group.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {

// `file` is the option (or the file) that the text came from, `example` what could have been written.
[[noreturn]] inline void fail_option(std::string_view file, std::string_view found, std::string allowed,
                                     std::string problem, std::string_view example) {
  throw UserError({.file = std::string(file),
                   .found = std::string(found),
                   .allowed = std::move(allowed),
                   .problem = std::move(problem),
                   .remedy = fmt::format("for example {}", example)});
}

}  // namespace trainyard
