#include "validation/nccl_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

#include "sim/base/files.hpp"
#include "sim/collectives/profile.hpp"

namespace trainyard {
namespace {

constexpr double kMicro = 1e-6;

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

std::optional<double> number_of(const std::string& word) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc{} && end == word.data() + word.size() ? std::optional(value) : std::nullopt;
}

// "path/all_reduce_perf" -> all_reduce.
std::optional<CollectiveOp> op_of_program(const std::string& word) {
  constexpr std::string_view kEnding = "_perf";
  const std::string program = word.substr(word.find_last_of('/') + 1);
  return program.ends_with(kEnding) ? collective_op_named(program.substr(0, program.size() - kEnding.size()))
                                    : std::nullopt;
}

// The newest tuner tables that are not newer than the stated version; the oldest when all are.
std::string known_version(const std::string& stated) {
  const auto order = [](const std::string& version) {
    const std::size_t dot = version.find('.');
    const auto minor = dot == std::string::npos ? std::nullopt : number_of(version.substr(dot + 1));
    return std::pair(number_of(version.substr(0, dot)).value_or(0.0), minor.value_or(0.0));
  };
  const std::size_t second_dot = stated.find('.', stated.find('.') + 1);
  const auto wanted = order(stated.substr(0, second_dot));
  std::vector<std::string> names = nccl_version_names();
  std::sort(names.begin(), names.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
  std::string best = names.front();
  for (const std::string& name : names) {
    if (order(name) <= wanted) {
      best = name;
    }
  }
  return best;
}

class LogReader {
 public:
  LogReader(std::string file, std::optional<CollectiveOp> op) : file_(std::move(file)), asked_(op) {}

  std::vector<CollectiveMeasurement> read() {
    std::istringstream lines(read_file(file_));
    for (std::string line; std::getline(lines, line);) {
      ++number_;
      const std::vector<std::string> words = words_of(line);
      if (words.empty()) {
        continue;
      }
      if (!is_result(words)) {
        take_header(words);
      } else {
        take_result(words);
      }
    }
    if (rows_.empty()) {
      throw UserError({.file = file_,
                       .found = fmt::format("{} lines, none of them results", number_),
                       .allowed = "the output of nccl-tests, with its header",
                       .problem = "no measurements in this log"});
    }
    return std::move(rows_);
  }

 private:
  std::string where() const { return fmt::format("{} line {}", file_, number_); }

  // Results are lines of numbers beneath a header; with MPI other programs may write between them.
  bool is_result(const std::vector<std::string>& words) const {
    return time_column_ > 0 && words.size() > time_column_ && number_of(words[0]) && number_of(words[1]) &&
           number_of(words[time_column_]);
  }

  void take_header(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (const auto op = op_of_program(words[i])) {
        op_ = op;
      }
      if (words[i] == "version" && i > 0 && words[i - 1] == "NCCL" && i + 1 < words.size()) {
        version_ = known_version(words[i + 1]);
      }
    }
    const auto has = [&](const char* word) { return std::find(words.begin(), words.end(), word) != words.end(); };
    if (has("Using") && has("devices")) {
      ranks_ = 0;
      hosts_.clear();
    }
    const auto on = std::find(words.begin(), words.end(), "on");
    if (has("Rank") && on != words.end() && std::next(on) != words.end()) {
      ++ranks_;
      hosts_.insert(*std::next(on));
    }
    const auto time = std::find(words.begin(), words.end(), "time");
    if (has("size") && time != words.end() && words.front() == "#") {
      time_column_ = static_cast<std::size_t>(time - words.begin()) - 1;  // results have no "#"
      const auto type = std::find(words.begin(), words.end(), "type");
      type_column_ = type == words.end() ? 0 : static_cast<std::size_t>(type - words.begin()) - 1;
      const auto wrong = std::find_if(time, words.end(), [](const auto& word) { return word == "#wrong"; });
      wrong_column_ = wrong == words.end() ? 0 : static_cast<std::size_t>(wrong - words.begin()) - 1;
    }
  }

  void take_result(const std::vector<std::string>& words) {
    const auto op = op_ ? op_ : asked_;
    if (!op) {
      throw UserError({.file = where(),
                       .allowed = join_names(kCollectiveOpNames.names()),
                       .problem = "the log does not say which operation was measured",
                       .remedy = "name it with --op"});
    }
    if (ranks_ == 0) {
      throw UserError({.file = where(),
                       .allowed = "the list of devices that nccl-tests prints before its results",
                       .problem = "the log does not say how many ranks there were"});
    }
    const double size = *number_of(words[0]);
    const double time = *number_of(words[time_column_]);
    if (size <= 0.0 || time <= 0.0) {
      return;  // a call of no bytes measures no fabric
    }
    if (wrong_column_ > 0 && wrong_column_ < words.size() && number_of(words[wrong_column_]).value_or(0.0) > 0.0) {
      throw UserError({.file = where(),
                       .found = words[wrong_column_] + " wrong elements",
                       .allowed = "0",
                       .problem = "the measured operation gave wrong results",
                       .remedy = "mend the cluster before fitting anything to it"});
    }
    CollectiveMeasurement row{.id = where(),
                              .file = file_,
                              .system = "nccl-tests",
                              .nccl_version = version_,
                              .op = *op,
                              .ranks = ranks_,
                              .nodes = static_cast<int>(hosts_.size()),
                              .size = {size},
                              .time = {time * kMicro}};
    exclude_for_type(row, type_column_ > 0 ? words[type_column_] : "");
    rows_.push_back(std::move(row));
  }

  std::string file_;
  std::optional<CollectiveOp> asked_;
  std::size_t number_ = 0;
  std::optional<CollectiveOp> op_;
  std::string version_;
  int ranks_ = 0;
  std::set<std::string> hosts_;
  std::size_t time_column_ = 0;
  std::size_t type_column_ = 0;
  std::size_t wrong_column_ = 0;
  std::vector<CollectiveMeasurement> rows_;
};

}  // namespace

std::vector<CollectiveMeasurement> read_nccl_log(const std::string& file, std::optional<CollectiveOp> op) {
  return LogReader(file, op).read();
}

}  // namespace trainyard
