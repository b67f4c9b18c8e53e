#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {

// "/layout/cp_type" as users write it: "layout.cp_type".
inline std::string dotted(std::string_view pointer) {
  std::string out(pointer.substr(1));
  std::replace(out.begin(), out.end(), '/', '.');
  return out;
}

// Where a value stands in the document, for errors about combinations of values.
struct Place {
  const std::string& file;
  std::string_view below{};  // pointer to the section that the others are relative to

  [[noreturn]] void fail(std::string_view pointer, std::string problem, std::string found, std::string allowed,
                         std::string remedy) const {
    throw UserError({.file = file,
                     .pointer = std::string(below) + std::string(pointer),
                     .found = std::move(found),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = std::move(remedy)});
  }
};

}  // namespace trainyard
