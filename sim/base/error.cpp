#include "sim/base/error.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace trainyard {
namespace {

std::string describe(const Fault& fault) {
  std::string text = fault.problem;
  const auto add = [&text](std::string_view label, const std::string& part) {
    if (!part.empty()) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : "\n  ", label, part);
    }
  };
  add("in", fault.file);
  add("at", fault.pointer);
  add("found", fault.found);
  add("allowed", fault.allowed);
  add("did you mean", fault.nearest);
  add("remedy", fault.remedy);
  return text;
}

}  // namespace

UserError::UserError(Fault fault, ExitCode code) : fault_(std::move(fault)), code_(code), message_(describe(fault_)) {}

void assertion_failed(const char* condition, const char* file, int line) {
  throw std::logic_error(fmt::format("internal error: {} does not hold ({}:{})", condition, file, line));
}

}  // namespace trainyard
