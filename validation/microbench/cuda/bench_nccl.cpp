// NCCL's operations over sizes and types: one process that drives every GPU, or one process for each rank; prints
// nccl-tests' tables and writes records.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>

#include "sim/collectives/collective_table.hpp"
#include "validation/microbench/collective_check.hpp"
#include "validation/microbench/cuda/nccl_ranks.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/nccl_table.hpp"

namespace trainyard::microbench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRepeats = 5;
constexpr double kRepeatSeconds = 0.05;  // one repeat lasts about so long
constexpr std::string_view kSharedNote =
    "the ranks share one GPU and talk through sockets of this host: no figure here is one of a fabric";

struct Selection {
  std::vector<std::string> ops;
  std::vector<std::string> types = {"float", "half", "bfloat16"};
  std::string sizes = "8:256M";
  int processes = 0;  // 0: one process drives every GPU
  int rank = -1;      // set: this process is one rank of a measurement that something else starts
  int size = 0;
  BootstrapAddress address;
  std::string table;  // where nccl-tests' tables go
};

// NCCL takes two ranks on one GPU for a mistake, except when they claim to be on different hosts.
void claim_own_host(int rank) {
  ::setenv("NCCL_HOSTID", fmt::format("trainyard-rank-{}", rank).c_str(), 1);
  ::setenv("NCCL_P2P_DISABLE", "1", 1);
  ::setenv("NCCL_SHM_DISABLE", "1", 1);
}

class Measurement {
 public:
  // `shared` is set, before NCCL starts, when two ranks are on one GPU.
  Measurement(Part& part, const Selection& selection, bool& shared)
      : part_(part), selection_(selection), shared_(shared) {
    const std::vector<Bytes> sizes = parse_sizes(selection.sizes);
    int devices = 0;
    TRAINYARD_CHECK(cudaGetDeviceCount(&devices));
    const std::size_t ranks = static_cast<std::size_t>(selection.rank >= 0 ? selection.size : devices);
    const auto largest =
        std::max(static_cast<std::size_t>(sizes.back().value), checked_shares().back() * ranks * sizeof(float));
    if (selection.rank >= 0) {
      bootstrap_ = std::make_unique<Bootstrap>(selection.rank, selection.size, selection.address);
      describe_ranks({part.options.device});
      if (shared_) {
        claim_own_host(selection.rank);
      }
      ranks_ = std::make_unique<NcclRanks>(*bootstrap_, part.options.device, largest);
    } else {
      std::vector<int> all(static_cast<std::size_t>(devices));
      std::iota(all.begin(), all.end(), 0);
      describe_ranks(all);
      ranks_ = std::make_unique<NcclRanks>(devices, largest);
    }
  }

  void run() {
    for (const CollectiveOp op : ops()) {
      std::int64_t wrong = 0;
      for (const std::size_t share : checked_shares()) {
        wrong += ranks_->count_wrong(op, share);
      }
      if (wrong > 0) {
        ++part_.failed;
        fmt::print(stderr, "{}: {} wrong values\n", kCollectiveOpNames.name_of(op), wrong);
      }
      for (const std::string& name : selection_.types) {
        run_table(op, *nccl_type(name), wrong);
      }
    }
  }

 private:
  bool first() const { return selection_.rank <= 0; }

  // Every rank says where it runs; the first writes it all down.
  void describe_ranks(const std::vector<int>& devices) {
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    std::vector<std::string> said;
    for (const int device : devices) {
      cudaDeviceProp properties{};
      TRAINYARD_CHECK(cudaGetDeviceProperties(&properties, device));
      std::array<char, 32> bus{};
      TRAINYARD_CHECK(cudaDeviceGetPCIBusId(bus.data(), bus.size(), device));
      said.push_back(
          Json{{"host", host}, {"pid", ::getpid()}, {"device", device}, {"bus", bus.data()}, {"gpu", properties.name}}
              .dump());
    }
    if (bootstrap_) {
      said = bootstrap_->all_gather(said.front());
    }
    std::set<std::pair<std::string, std::string>> gpus;
    for (const std::string& text : said) {
      const Json rank = Json::parse(text);
      described_.push_back({rank["host"], rank["pid"], rank["device"], rank["gpu"]});
      hosts_.insert(rank["host"].get<std::string>());
      shared_ = !gpus.insert({rank["host"].get<std::string>(), rank["bus"].get<std::string>()}).second || shared_;
    }
  }

  std::vector<CollectiveOp> ops() const {
    std::vector<CollectiveOp> out;
    for (const std::string& name : kCollectiveOpNames.names()) {
      const CollectiveOp op = *kCollectiveOpNames.find(name);
      const bool wanted = selection_.ops.empty() ||
                          std::find(selection_.ops.begin(), selection_.ops.end(), name) != selection_.ops.end();
      if (op != CollectiveOp::kBarrier && wanted) {
        out.push_back(op);
      }
    }
    return out;
  }

  // All ranks stop together, whoever's clock runs out.
  bool out_of_time() {
    const bool mine = part_.limit.passed();
    return bootstrap_ ? bootstrap_->broadcast(mine ? "1" : "0") == "1" : mine;
  }

  double time_once(CollectiveOp op, std::size_t bytes, const NcclType& type, bool in_place, int calls) {
    if (bootstrap_) {
      bootstrap_->barrier();
    }
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < calls; ++i) {
      ranks_->enqueue(op, bytes, type, in_place);
    }
    ranks_->wait();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  }

  // As nccl-tests: wall time over many calls, ranks started together. The number of calls is the first rank's choice.
  std::vector<double> times(CollectiveOp op, std::size_t bytes, const NcclType& type, bool in_place) {
    time_once(op, bytes, type, in_place, 3);
    const double once = time_once(op, bytes, type, in_place, 3);
    int calls = std::clamp(static_cast<int>(kRepeatSeconds / std::max(once, 1e-6)), 3, 500);
    if (bootstrap_) {
      calls = std::stoi(bootstrap_->broadcast(std::to_string(calls)));
    }
    std::vector<double> seconds;
    for (int i = 0; i < kRepeats; ++i) {
      seconds.push_back(time_once(op, bytes, type, in_place, calls));
    }
    return seconds;
  }

  void run_table(CollectiveOp op, const NcclType& type, std::int64_t wrong) {
    const bool rooted = op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce || op == CollectiveOp::kGather ||
                        op == CollectiveOp::kScatter;
    const bool has_in_place =
        op == CollectiveOp::kAllReduce || op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce;
    const NcclTestRun described{.op = op,
                                .type = type.name,
                                .type_bytes = type.bytes,
                                .root = rooted ? 0 : -1,
                                .ranks = described_,
                                .note = shared_ ? std::string(kSharedNote) : std::string()};
    int version = 0;
    TRAINYARD_CHECK(ncclGetVersion(&version));
    std::string table = nccl_test_header(described, version);
    std::vector<NcclTestTime> rows;
    for (const Bytes size : parse_sizes(selection_.sizes)) {
      const auto bytes = static_cast<std::size_t>(size.value) / static_cast<std::size_t>(type.bytes * ranks_->size()) *
                         static_cast<std::size_t>(type.bytes * ranks_->size());
      if (bytes == 0) {
        continue;
      }
      if (out_of_time()) {
        ++part_.skipped;
        continue;
      }
      const std::vector<double> apart = times(op, bytes, type, false);
      const Json spread = spread_json(apart);
      NcclTestTime row{.size = {static_cast<double>(bytes)},
                       .out_of_place = {spread["median"].get<double>()},
                       .in_place = std::nullopt,
                       .wrong = wrong};
      if (has_in_place) {
        row.in_place = Seconds{spread_json(times(op, bytes, type, true))["median"].get<double>()};
      }
      if (first()) {
        part_.out.write(record(described, row, spread));
        table += nccl_test_line(described, row);
        rows.push_back(row);
      }
    }
    if (first()) {
      publish(table + nccl_test_footer(described, rows));
    }
  }

  Json record(const NcclTestRun& run, const NcclTestTime& row, const Json& spread) const {
    Json out = {{"record", "nccl"},       {"op", std::string(kCollectiveOpNames.name_of(run.op))},
                {"dtype", run.type},      {"ranks", ranks_->size()},
                {"nodes", hosts_.size()}, {"processes", selection_.rank >= 0 ? ranks_->size() : 1},
                {"shared_gpu", shared_},  {"size_bytes", row.size.value},
                {"time_s", spread},       {"wrong", row.wrong}};
    if (row.in_place) {
      out["in_place_time_s"] = row.in_place->value;
    }
    if (shared_) {
      out["note"] = kSharedNote;
    }
    const double rate = row.size.value / row.out_of_place.value;
    out["algbw_bytes_per_s"] = rate;
    out["busbw_bytes_per_s"] = rate * bus_factor(run.op, ranks_->size());
    return out;
  }

  void publish(const std::string& text) const {
    if (selection_.table.empty()) {
      fmt::print(stderr, "{}", text);
      return;
    }
    std::ofstream file(selection_.table, std::ios::app);
    file << text;
  }

  Part& part_;
  const Selection& selection_;
  std::unique_ptr<Bootstrap> bootstrap_;
  std::unique_ptr<NcclRanks> ranks_;
  std::vector<NcclTestRank> described_;
  std::set<std::string> hosts_;
  bool& shared_;
};

void run(Part& part, const Selection& selection) {
  std::unique_ptr<Measurement> measurement;
  bool shared = false;
  try {
    measurement = std::make_unique<Measurement>(part, selection, shared);
  } catch (const DeviceError& error) {
    if (!shared) {
      throw;
    }
    // Newer versions of NCCL find two ranks on one GPU whatever host they claim to be on.
    fmt::print(stderr, "NCCL does not let ranks share a GPU here: {}\n", error.what());
    part.out.write({{"record", "left_out"},
                    {"what", "collectives"},
                    {"why", fmt::format("the ranks share a GPU, and NCCL refuses: {}", error.what())}});
    return;
  }
  measurement->run();
}

// Starts this program once for each rank, each on a GPU of its own while there are GPUs, and waits for all. Only the
// first writes records. This process asks for the number of GPUs and holds none.
int run_processes(int argc, char** argv, int processes) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    fmt::print(stderr, "no CUDA device here: nothing was measured\n");
    return 77;
  }
  std::vector<pid_t> children;
  for (int rank = 0; rank < processes; ++rank) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::vector<std::string> words(argv, argv + argc);
      const auto add = [&](const std::string& option, const std::string& value) {
        words.push_back(option);
        words.push_back(value);
      };
      add("--rank", std::to_string(rank));
      add("--size", std::to_string(processes));
      add("--device", std::to_string(rank % devices));
      if (rank > 0) {
        add("--out", "/dev/null");
      }
      std::vector<char*> arguments;
      for (std::string& word : words) {
        arguments.push_back(word.data());
      }
      arguments.push_back(nullptr);
      ::execv("/proc/self/exe", arguments.data());
      ::_exit(127);
    }
    children.push_back(child);
  }
  int worst = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  return worst;
}

// The option is needed before anything touches CUDA: a process that only starts others must not hold a GPU.
int processes_asked_for(int argc, char** argv) {
  int processes = 0;
  bool is_rank = false;
  for (int i = 1; i + 1 < argc; ++i) {
    is_rank = is_rank || std::string_view(argv[i]) == "--rank";
    if (std::string_view(argv[i]) == "--processes") {
      processes = std::atoi(argv[i + 1]);
    }
  }
  return is_rank ? 0 : processes;
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  if (const int processes = processes_asked_for(argc, argv); processes > 0) {
    return run_processes(argc, argv, processes);
  }
  Selection selection;
  int version = 0;
  ncclGetVersion(&version);
  return run_part(
      argc, argv, "nccl", {.nccl = fmt::format("{}", version)},
      [&](CLI::App& app) {
        app.add_option("--ops", selection.ops, "all_reduce, all_gather, ... (default all)")->delimiter(',');
        app.add_option("--dtypes", selection.types, "float, half, bfloat16 (these by default), int8, double")
            ->delimiter(',')
            ->check(CLI::IsMember(nccl_type_names()));
        app.add_option("--sizes", selection.sizes, "8:256M (default) doubles from 8 bytes");
        app.add_option("--processes", selection.processes, "one process for each of so many ranks on this machine");
        app.add_option("--rank", selection.rank,
                       "this process's rank among --size, for ranks on several machines; --device is its GPU");
        app.add_option("--size", selection.size, "number of ranks");
        app.add_option("--host", selection.address.host, "where rank 0 runs");
        app.add_option("--port", selection.address.port, "on which it listens");
        app.add_option("--table", selection.table, "append nccl-tests' tables to this file (default: standard error)");
      },
      [&](Part& part) { run(part, selection); });
}
