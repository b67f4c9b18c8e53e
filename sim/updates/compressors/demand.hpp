#pragma once
// The checks of a job, each with the flag of `trainyard converge` that gives what is wrong.
#include <string>

#include "sim/base/error.hpp"

namespace trainyard {

inline void demand(bool holds, const char* flag, const std::string& found, const std::string& allowed,
                   const std::string& problem) {
  if (!holds) {
    throw UserError({.file = flag, .found = found, .allowed = allowed, .problem = problem});
  }
}

}  // namespace trainyard
