#include "validation/tables/log_lines.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <regex>
#include <sstream>

namespace trainyard {
namespace {

// Source: NVIDIA/nccl-tests src/common.cu, test_typenames; rccl-tests; NCCL 1's "char" and "int".
constexpr std::array<std::pair<std::string_view, int>, 19> kTypes = {{{"int8", 1},
                                                                      {"uint8", 1},
                                                                      {"int32", 4},
                                                                      {"uint32", 4},
                                                                      {"int64", 8},
                                                                      {"uint64", 8},
                                                                      {"half", 2},
                                                                      {"float", 4},
                                                                      {"double", 8},
                                                                      {"bfloat16", 2},
                                                                      {"fp8_e4m3", 1},
                                                                      {"fp8_e5m2", 1},
                                                                      {"f8e4m3", 1},
                                                                      {"f8e5m2", 1},
                                                                      {"float8_e4m3", 1},
                                                                      {"float8_e5m2", 1},
                                                                      {"char", 1},
                                                                      {"int", 4},
                                                                      {"fp16", 2}}};

// How launchers name the process that a line is of: `mpirun --tag-output` and its successors ([1,0]<stdout>,
// [prterun-host-1@1,0]), torchrun ([default0]:, [rank0]:), MPICH ([0]), `srun -l` (0:), kubectl ([pod/name/container]),
// docker compose (name-1  |).
const std::array<std::regex, 5>& stream_tags() {
  static const std::array<std::regex, 5> kTags = {
      std::regex(R"(\[(?:[^\[\]\s]*@)?(\d+,\d+)\])"), std::regex(R"(\[(?:default|rank)?\s*(\d+)\])"),
      std::regex(R"(\[pod/([^\]]+)\])"), std::regex(R"((?:^|[\s>\]])(\d+):(?:\s|$))"), std::regex(R"(^(\S+)\s+\|)")};
  return kTags;
}

std::string without_colours(const std::string& line) {
  static const std::regex kEscape("\x1b\\[[0-9;?]*[A-Za-z]");
  return line.find('\x1b') == std::string::npos ? line : std::regex_replace(line, kEscape, "");
}

std::string stream_of(const std::string& prefix) {
  if (prefix.empty()) {
    return {};
  }
  std::smatch match;
  for (const std::regex& tag : stream_tags()) {
    if (std::regex_search(prefix, match, tag)) {
      return match[1];
    }
  }
  return {};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Where the size of a result begins: two whole numbers stand before the name of a number format.
std::optional<std::size_t> start_of_result(const std::string& line) {
  std::vector<std::pair<std::size_t, std::string>> words;  // with their places
  for (std::size_t at = 0; (at = line.find_first_not_of(" \t", at)) != std::string::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.emplace_back(at, line.substr(at, end - at));
    at = end;
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string& count = words[i - 1].second;
    const auto& [at, size] = words[i - 2];
    if (element_bytes(words[i].second) && std::all_of(count.begin(), count.end(), is_digit) && is_digit(size.back())) {
      if (number_in(size)) {
        return at;  // a size with a sign or a fraction is not cut to one that could be
      }
      // A launcher's tag may stand without a space before a size of many digits.
      std::size_t first = size.size();
      while (first > 0 && is_digit(size[first - 1])) {
        --first;
      }
      return at + first;
    }
  }
  return std::nullopt;
}

// Where the benchmark's own text begins.
std::size_t start_of_output(const std::string& line) {
  if (const auto result = start_of_result(line)) {
    return *result;
  }
  const std::size_t hash = line.find('#');
  // A command with a comment behind it is no header.
  return hash != std::string::npos && line.find("_perf") > hash ? hash : 0;
}

}  // namespace

std::optional<int> element_bytes(std::string_view type) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& row) { return row.first == type; });
  return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> number_in(std::string_view word) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  const bool is_number = error == std::errc{} && end == word.data() + word.size() && std::isfinite(value);
  return is_number ? std::optional(value) : std::nullopt;
}

std::vector<LogLine> read_log_lines(const std::string& text) {
  constexpr std::size_t kLongestPrefix = 400;  // characters in which a launcher's tag is looked for
  std::vector<LogLine> out;
  std::istringstream stream(text);
  std::size_t number = 0;
  for (std::string raw; std::getline(stream, raw);) {
    ++number;
    std::string line = without_colours(raw);
    line.erase(std::remove(line.begin(), line.end(), '\r'), line.end());
    const std::size_t start = start_of_output(line);
    LogLine one{.number = number, .stream = stream_of(line.substr(0, std::min(start, kLongestPrefix)))};
    const bool header = line.compare(start, 1, "#") == 0;
    if (header) {
      one.words.emplace_back("#");
    }
    std::istringstream rest(line.substr(start + (header ? 1 : 0)));
    for (std::string word; rest >> word;) {
      one.words.push_back(word);
    }
    if (!one.words.empty()) {
      out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace trainyard
