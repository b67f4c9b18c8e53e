#include "sim/base/error.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace trainyard {
namespace {

constexpr std::size_t kLongestPart = 2000;
constexpr std::size_t kLongestPointer = 300;

// What the user wrote, so that it fits a terminal: long text is cut in its middle, control characters are spelled out.
std::string readable(std::string_view text, std::size_t longest, bool keeps_lines) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.size() > longest && i == longest / 2) {
      out += fmt::format(" [... {} bytes ...] ", text.size() - longest);
      i = text.size() - longest / 2;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_control = (byte < 0x20 && !(keeps_lines && byte == '\n')) || byte == 0x7f;
    out += is_control ? fmt::format("\\x{:02x}", byte) : std::string(1, text[i]);
  }
  return out;
}

std::string describe(const Fault& fault) {
  std::string text = readable(fault.problem, kLongestPart, true);
  const auto add = [&text](std::string_view label, const std::string& part, std::size_t longest = kLongestPart) {
    if (!part.empty()) {
      text += fmt::format("{}{}: {}", text.empty() ? "" : "\n  ", label, readable(part, longest, false));
    }
  };
  add("in", fault.file);
  add("at", fault.pointer, kLongestPointer);
  add("found", fault.found);
  add("allowed", fault.allowed, 2 * kLongestPart);
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
