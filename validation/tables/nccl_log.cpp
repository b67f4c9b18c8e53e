#include "validation/tables/nccl_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/base/files.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/collective_table.hpp"
#include "validation/tables/log_lines.hpp"

namespace trainyard {
namespace {

using Words = std::vector<std::string>;

bool has(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::size_t place_of(const Words& words, std::string_view word) {
  return static_cast<std::size_t>(std::find(words.begin(), words.end(), word) - words.begin());
}

// "path/all_reduce_perf" and "all_reduce_perf_mpi" -> "all_reduce"; empty: no program of nccl-tests.
std::string program_of(const std::string& word) {
  std::string name = word.substr(word.find_last_of("/:>]=") + 1);
  for (const std::string_view ending : {"_mpi", "_perf"}) {
    if (name.ends_with(ending)) {
      name.resize(name.size() - ending.size());
    } else if (ending == "_perf") {
      return {};
    }
  }
  return name;
}

bool is_option(const std::string& word) {
  return word.size() >= 2 && word[0] == '-' && (word.size() == 2 || word[1] == '-');
}

constexpr std::array<std::string_view, 16> kLaunchers = {
    "mpirun",  "mpiexec", "mpiexec.hydra", "prterun", "orterun", "srun",   "jsrun",       "aprun",
    "numactl", "env",     "timeout",       "exec",    "kubectl", "docker", "singularity", "apptainer"};

// A program that a line of a shell starts.
struct Launch {
  std::string program;  // empty: none, or several that might be meant
  bool is_sure = false;
};

// What a build links, copies or lists is not started: a launcher stands before the program or options of nccl-tests
// behind it. A path alone on its line may be a command or a listed file.
std::optional<Launch> launch_of(const Words& words) {
  std::size_t first = 0;
  while (first < words.size() && words[first].find_last_of("#$%+>") == words[first].size() - 1) {
    ++first;  // prompts
  }
  for (std::size_t i = first; i < words.size(); ++i) {
    const std::string program = program_of(words[i]);
    if (program.empty() || (i > 0 && (words[i - 1] == "-o" || words[i - 1] == ">"))) {
      continue;
    }
    const std::string command = words[first].substr(words[first].find_last_of("/:>]") + 1);
    const bool is_launched = std::find(kLaunchers.begin(), kLaunchers.end(), command) != kLaunchers.end();
    if (is_launched || (i + 1 < words.size() && is_option(words[i + 1]))) {
      return Launch{program, true};
    }
    if (i == first && words.size() == first + 1 && words[i].find('/') != std::string::npos) {
      return Launch{program, false};
    }
  }
  return std::nullopt;
}

// The columns of a table of results, in words of its lines; results have no "#".
struct Columns {
  std::size_t type = 0;
  std::size_t time = 0;
  std::size_t wrong = 0;
  std::size_t count = 0;
  std::size_t half = 0;  // columns up to the times in place, which some programs leave empty
  bool has_redop = false;
};

// One run of a program.
struct Job {
  std::string program;
  bool program_is_header = false;   // nccl-tests said it itself
  std::size_t launches_before = 0;  // commands that belong to earlier runs of this process
  std::size_t launches_used = 0;    // and to this one
  std::set<int> ranks;
  std::set<std::string> hosts;
  std::set<std::string> slots;
  bool hosts_share_names = false;  // a slot is listed twice
  std::set<std::string> gpus;
  std::optional<Columns> columns;
};

class LogReader {
 public:
  LogReader(std::string file, const NcclLogOptions& options) : file_(std::move(file)), options_(options) {}

  std::vector<CollectiveMeasurement> read() {
    std::size_t lines = 0;
    for (const LogLine& line : read_log_lines(read_file(file_))) {
      number_ = line.number;
      lines = line.number;
      Job& job = jobs_[line.stream];
      if (is_result(job, line.words)) {
        take_result(job, line.words);
      } else {
        take_header(job, line.words);
      }
    }
    if (rows_.empty()) {
      throw UserError({.file = file_,
                       .found = fmt::format("{} lines, none of them results", lines),
                       .allowed = "the output of nccl-tests, with its header",
                       .problem = "no measurements in this log"});
    }
    if (options_.op && stated_.size() > 1) {
      throw UserError({.file = file_,
                       .found = join_names(Words(stated_.begin(), stated_.end())),
                       .allowed = "one operation",
                       .problem = "--op names one operation, but the log's own headers name several",
                       .remedy = "leave --op out or give every operation a file of its own"});
    }
    return std::move(rows_);
  }

 private:
  std::string where() const { return fmt::format("{} line {}", file_, number_); }

  [[noreturn]] void refuse(std::string found, std::string allowed, std::string problem, std::string remedy = "") const {
    throw UserError({.file = where(),
                     .found = std::move(found),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = std::move(remedy)});
  }

  // Results are lines of numbers beneath a header, whose second may be missing; with MPI other programs may write
  // between them.
  static bool is_result(const Job& job, const Words& words) {
    return job.columns && words.size() >= 2 && number_in(words[0]) && (number_in(words[1]) || element_bytes(words[1]));
  }

  // What a run prints first begins a new one, once the one before has had its results.
  static void begin(Job& job) { job = {.launches_before = job.launches_used}; }

  void take_header(Job& job, const Words& words) {
    take_version(words);
    const bool is_header = words.front() == "#";
    if (is_header && has(words, "starting:")) {  // "# Collective test starting: all_reduce_perf"
      begin(job);
      job.program = program_of(words.back());
      job.program_is_header = true;
    } else if (is_header && (has(words, "nThread") || (has(words, "Using") && has(words, "devices")))) {
      if (job.columns) {
        begin(job);
      }
    } else if (is_header && has(words, "Rank") && has(words, "device")) {
      take_device(job, words);
    } else if (is_header && (has(words, "size") || has(words, "bytes")) && has(words, "time")) {
      take_columns(job, words);
    } else if (is_header && has(words, "bounds") && has(words, "FAILED")) {  // "# Out of bounds values : 3 FAILED"
      refuse("out of bounds values: FAILED", "OK", "the measured operation gave wrong results",
             "mend the cluster before fitting anything to it");
    } else if (const auto launch = launch_of(words)) {
      take_launch(*launch);
    }
  }

  // A listed path does not hide a command, and two of them tell nothing.
  void take_launch(const Launch& launch) {
    if (launch.is_sure || !launched_.is_sure || launches_taken_ == launches_) {
      const bool differs = !launch.is_sure && launches_taken_ < launches_ && launched_.program != launch.program;
      launched_ = differs ? Launch{} : launch;
      ++launches_;
    }
  }

  void take_version(const Words& words) {
    constexpr std::string_view kLibrary = "nccl-library=";
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == "version" && i > 0 && words[i - 1].ends_with("CCL") && i + 1 < words.size()) {
        version_ = nearest_nccl_version(words[i + 1]);
      }
      if (words[i].starts_with(kLibrary)) {
        // Source: nccl.h, NCCL_VERSION: 10000 major + 100 minor + patch.
        const int code = static_cast<int>(number_in(words[i].substr(kLibrary.size())).value_or(0.0));
        version_ = code > 0 ? nearest_nccl_version(fmt::format("{}.{}", code / 10000, code / 100 % 100)) : version_;
      }
    }
  }

  // "#  Rank  0 Group  0 Pid 100 on host0 device 0 [0x16] NVIDIA H100 80GB HBM3"
  void take_device(Job& job, const Words& words) {
    const std::size_t at = place_of(words, "Rank") + 1;
    const std::size_t on = place_of(words, "on");
    const std::size_t device = place_of(words, "device") + 1;
    const auto rank = at < words.size() ? number_in(words[at]) : std::nullopt;
    if (!rank || device >= words.size()) {
      return;
    }
    if (!job.ranks.insert(static_cast<int>(*rank)).second) {
      refuse(fmt::format("rank {} a second time", words[at]), "every rank once",
             "the output of several jobs is mixed in this log",
             "build nccl-tests with MPI=1, so that its processes are one job, or give every job a file of its own");
    }
    const std::string host = on + 1 < words.size() ? words[on + 1] : std::string();
    if (!host.empty()) {
      job.hosts.insert(host);
    }
    const std::string bus = device + 1 < words.size() ? words[device + 1] : std::string();
    // Where a slot stands twice, host names do not tell the nodes apart.
    const bool is_new = job.slots.insert(fmt::format("{} {} {}", host, words[device], bus)).second;
    if (!is_new && !options_.nodes) {
      refuse(fmt::format("{} device {} {} twice", host, words[device], bus), "one rank on a GPU",
             "two ranks are on one GPU, or host names do not tell the nodes apart", "say how many with --nodes");
    }
    job.hosts_share_names = job.hosts_share_names || !is_new;
    std::string name;
    for (std::size_t i = device + 2; i < words.size(); ++i) {
      name += (name.empty() ? "" : " ") + words[i];
    }
    if (!name.empty()) {
      job.gpus.insert(name);
    }
  }

  void take_columns(Job& job, const Words& words) {
    Columns columns{.time = place_of(words, "time") - 1, .count = words.size() - 1};
    columns.has_redop = has(words, "redop") || has(words, "op");
    columns.type = has(words, "type") ? place_of(words, "type") - 1 : 0;
    columns.wrong = has(words, "#wrong") ? place_of(words, "#wrong") - 1 : 0;
    const auto in_place = std::find(words.begin() + static_cast<std::ptrdiff_t>(columns.time) + 2, words.end(), "time");
    columns.half = static_cast<std::size_t>(in_place - words.begin()) - 1;
    job.columns = columns;
  }

  std::optional<CollectiveOp> op_of(Job& job) {
    if (job.program.empty() && launches_ > job.launches_before) {
      job.program = launched_.program;
      job.launches_used = launches_taken_ = launches_;
    }
    if (job.program_is_header) {
      stated_.insert(job.program);
    }
    if (options_.op) {
      return options_.op;
    }
    if (job.program.empty()) {
      refuse("no command and no header that names a program of nccl-tests", join_names(kCollectiveOpNames.names()),
             "the log does not say which operation was measured", "name it with --op");
    }
    return collective_op_named(job.program);
  }

  int ranks_of(const Job& job) const {
    const int listed = static_cast<int>(job.ranks.size());
    if (listed == 0 && !options_.ranks) {
      refuse("no device", "the list of devices that nccl-tests prints before its results",
             "the log does not say how many ranks there were", "say it with --ranks and --nodes");
    }
    if (listed > 0 && options_.ranks && *options_.ranks != listed) {
      refuse(fmt::format("{} ranks listed, --ranks {}", listed, *options_.ranks), "the ranks of the log's list",
             "the log's list of devices has another number of ranks");
    }
    if (listed > 0 && *job.ranks.rbegin() + 1 != listed) {
      refuse(fmt::format("{} ranks listed, up to rank {}", listed, *job.ranks.rbegin()), "every rank from 0",
             "the log's list of devices has gaps");
    }
    return options_.ranks.value_or(listed);
  }

  int nodes_of(const Job& job) const {
    if (job.hosts.empty() && !options_.nodes) {
      refuse("no host name", "a number of nodes", "the log does not say on how many nodes its ranks were",
             "say it with --nodes");
    }
    const int listed = static_cast<int>(job.hosts.size());
    if (listed > 0 && options_.nodes &&
        (job.hosts_share_names ? *options_.nodes < listed : *options_.nodes != listed)) {
      refuse(fmt::format("{} hosts listed, --nodes {}", listed, *options_.nodes), "the hosts of the log's list",
             "the log's list of devices has another number of hosts", "leave --nodes out");
    }
    return options_.nodes.value_or(listed);
  }

  // nccl-tests prints both the bytes and the elements of a call: a line where they disagree is damaged. Operations that
  // cut their buffer count the elements of one rank. Source: nccl-tests, src/*.cu, GetCollByteCount.
  void check_size(std::optional<CollectiveOp> op, const CollectiveMeasurement& row, const Words& words) const {
    if (!is_message_size(row.size.value)) {
      refuse(words[0], kMeasuredSizes, "this is no message size");
    }
    const std::string type = words.size() > 2 ? words[2] : std::string();
    const auto element = element_bytes(type);
    constexpr std::array kWhole = {CollectiveOp::kAllReduce, CollectiveOp::kBroadcast, CollectiveOp::kReduce,
                                   CollectiveOp::kSendRecv};
    const bool cuts = !op || std::find(kWhole.begin(), kWhole.end(), *op) == kWhole.end();
    const double counted = number_in(words[1]).value_or(-1.0) * element.value_or(0);
    if (element && row.size.value != counted && !(cuts && row.size.value == counted * row.ranks)) {
      refuse(fmt::format("{} bytes, {} elements of {}", words[0], words[1], type),
             fmt::format("{} bytes{}", counted, cuts ? fmt::format(", or {} of all ranks", counted * row.ranks) : ""),
             "size and count of this line disagree");
    }
  }

  void take_result(Job& job, const Words& words) {
    const Columns& columns = *job.columns;
    // Operations that reduce nothing leave that column empty in older versions.
    const bool shifted = columns.has_redop && columns.type > 0 && columns.type + 1 < words.size() &&
                         element_bytes(words[columns.type]) && number_in(words[columns.type + 1]).has_value();
    const std::size_t time_column = columns.time - (shifted ? 1 : 0);
    CollectiveMeasurement row{.id = where(),
                              .file = file_,
                              .nccl_version = version_,
                              .ranks = ranks_of(job),
                              .nodes = nodes_of(job),
                              .size = {*number_in(words[0])}};
    if (row.size.value == 0.0 && number_in(words[1]) == 0.0) {
      return;  // a call of no bytes measures no fabric
    }
    const std::size_t empty = shifted ? 1 : 0;
    const bool is_whole = words.size() + empty >= columns.count || words.size() + empty == columns.half;
    const auto op = op_of(job);
    if (!is_whole) {
      row.why_skipped =
          fmt::format("the line has {} fields of the {} that its header names", words.size(), columns.count - empty);
      rows_.push_back(std::move(row));
      return;
    }
    check_size(op, row, words);
    const double time = number_in(words[time_column]).value_or(0.0);
    if (time != 0.0 && !is_measured_time_us(time)) {
      refuse(words[time_column], kMeasuredTimes, "no collective takes this time");
    }
    if (time == 0.0) {
      row.why_skipped = "no time";
    } else if (!op) {
      row.why_skipped = fmt::format("{} is not predicted", job.program);
    } else if (job.gpus.size() > 1) {
      row.why_skipped =
          fmt::format("ranks on several kinds of GPU: {}", join_names(Words(job.gpus.begin(), job.gpus.end())));
    }
    if (!row.why_skipped.empty()) {
      rows_.push_back(std::move(row));
      return;
    }
    const std::size_t wrong = columns.wrong - (shifted ? 1 : 0);
    if (columns.wrong > 0 && wrong < words.size() && number_in(words[wrong]).value_or(0.0) > 0.0) {
      refuse(words[wrong] + " wrong elements", "0", "the measured operation gave wrong results",
             "mend the cluster before fitting anything to it");
    }
    row.op = *op;
    row.time = {time * kMicro};
    row.gpu = job.gpus.empty() ? "" : *job.gpus.begin();
    exclude_for_type(row, columns.type > 0 ? words[columns.type] : "");
    rows_.push_back(std::move(row));
  }

  std::string file_;
  NcclLogOptions options_;
  std::size_t number_ = 0;
  Launch launched_;  // by the last command line
  std::size_t launches_ = 0;
  std::size_t launches_taken_ = 0;  // how many of them are known to have had results
  std::string version_;
  std::map<std::string, Job> jobs_;  // of a stream, the one under way
  std::set<std::string> stated_;
  std::vector<CollectiveMeasurement> rows_;
};

}  // namespace

std::vector<CollectiveMeasurement> read_nccl_log(const std::string& file, const NcclLogOptions& options) {
  return LogReader(file, options).read();
}

}  // namespace trainyard
