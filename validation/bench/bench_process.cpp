// What one prediction costs, start to exit: every case runs the real binary as a process. Google Benchmark's flags
// apply:
//
//     build/release/validation/bench/trainyard_bench --benchmark_filter=main
//     build/release/validation/bench/trainyard_bench --performance=validation/PERFORMANCE.md
//
// The second measures every bar and the growth with GPUs and writes the page that is committed.
//
// The time is the whole process's wall time. Counters: peak_MB is its largest resident set (a small process, this one,
// is its floor), events what the simulation executed, events_per_s those over the time of the simulation alone.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace {

using trainyard::Json;

struct Cost {
  double wall_seconds = 0.0;
  double peak_bytes = 0.0;
  int exit_code = -1;
};

// Runs the binary with its output thrown away.
Cost run_process(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {TRAINYARD_BINARY};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

  const auto begin = std::chrono::steady_clock::now();
  pid_t process = 0;
  const int spawned = ::posix_spawn(&process, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  rusage usage{};
  if (spawned != 0 || ::wait4(process, &status, 0, &usage) != process) {
    return {};
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  return {.wall_seconds = wall.count(),
          .peak_bytes = 1024.0 * static_cast<double>(usage.ru_maxrss),  // Linux counts it in KiB
          .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

void run_case(benchmark::State& state, const std::vector<std::string>& command) {
  const std::filesystem::path result =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_bench_{}.json", ::getpid());
  const bool is_run = command.front() == "run";
  std::vector<std::string> arguments = command;
  if (is_run) {
    arguments.insert(arguments.end(), {"--json", result.string()});
  }
  double peak_bytes = 0.0;
  Json last;
  for (auto _ : state) {
    const Cost cost = run_process(arguments);
    if (cost.exit_code != 0) {
      state.SkipWithError(fmt::format("exit code {}", cost.exit_code).c_str());
      return;
    }
    state.SetIterationTime(cost.wall_seconds);
    peak_bytes = std::max(peak_bytes, cost.peak_bytes);
    if (is_run) {
      last = trainyard::read_json_file(result);
    }
  }
  std::filesystem::remove(result);
  state.counters["peak_MB"] = peak_bytes / 1e6;
  if (!is_run) {
    return;
  }
  const double events = last["sim"]["events"];
  state.counters["events"] = events;
  state.counters["events_per_s"] = events / last["sim"]["wall_s"].get<double>();
  state.counters["ranks_simulated"] = last["sim"]["ranks_simulated"].get<double>();
  state.counters["step_s"] = last["step_time_s"].get<double>();
}

// A command line and what it may cost; zero: no bar.
struct Case {
  std::string name;
  std::vector<std::string> command;
  double most_seconds = 0.0;
  double most_megabytes = 0.0;
};

std::vector<std::string> words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

const std::string kMain =
    "run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 1024 --tp 8 --pp 8 --micro-batch 1 --global-batch "
    "1536";

std::string llama(int gpus) {
  const int replicas = gpus / 128;
  return fmt::format(
      "run --allow-oom --model llama-3-405b --cluster dgx-h100 --gpus {} --tp 8 --pp 16 --micro-batch 1 --global-batch "
      "{}",
      gpus, 16 * replicas);
}

// One shape of model replica, more and more of them: the cost of size alone.
std::string grown(int gpus) {
  return fmt::format(
      "run --allow-oom --model megatron-1.7b --cluster dgx-h100 --gpus {} --tp 8 --micro-batch 1 --global-batch {}",
      gpus, gpus);
}
constexpr std::array kSizes = {8, 64, 512, 4096, 32768, 131072};

std::vector<Case> cases() {
  std::vector<Case> out = {
      {"main_1024_gpus", words(kMain), 0.3, 150.0},
      {"main_1024_gpus_analytic", words(kMain + " --network analytic")},
      {"llama_405b_16384_gpus", words(llama(16384)), 1.0, 300.0},
      {"llama_405b_131072_gpus", words(llama(131072)), 5.0, 1000.0},
      {"all_reduce_1024_gpus", words("collective --cluster dgx-h100 --gpus 1024 --sizes 1G"), 0.1, 100.0},
      {"all_reduce_4096_gpus", words("collective --cluster dgx-h100 --gpus 4096 --sizes 1G")},
      {"all_reduce_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G"), 5.0},
      {"ring_all_reduce_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G --algorithm ring")},
      {"all_to_all_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G --op all_to_all")},
      {"all_reduce_sweep_64_gpus", words("collective --cluster dgx-h100 --gpus 64 --sizes 8:16G"), 1.0},
      {"search_1024_gpus", words("search --model gpt3-175b --cluster dgx-a100 --gpus 1024 --global-batch 1536"), 15.0,
       1000.0},
      {"memory_1024_gpus", words("memory" + kMain.substr(std::string("run --allow-oom").size())), 0.005, 50.0},
      {"help", words("--help"), 0.03, 0.0},
      {"micro_batches_64", words("run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 8 "
                                 "--micro-batch 1 --global-batch 64")},
      {"micro_batches_1024", words("run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 8 "
                                   "--micro-batch 1 --global-batch 1024")},
      // Everybody is simulated.
      {"main_1024_gpus_unfolded", words(kMain + " --fold off"), 30.0, 4000.0}};
  for (const int gpus : kSizes) {
    out.push_back({fmt::format("growth_{}_gpus", gpus), words(grown(gpus))});
  }
  return out;
}

std::string first_line_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) == 0) {
      return line.substr(std::min(line.size(), line.find(':') + 2));
    }
  }
  return "unknown";
}

std::string commit() {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("git rev-parse --short HEAD 2>/dev/null", "r"), ::pclose);
  std::array<char, 64> line{};
  const bool read = pipe != nullptr && std::fgets(line.data(), line.size(), pipe.get()) != nullptr;
  return read ? std::string(line.data(), std::strcspn(line.data(), "\n")) : "unknown";
}

// The least of three runs: what else the machine does only adds. Long cases run once.
Cost best_of(const std::vector<std::string>& command) {
  Cost best = run_process(command);
  for (int i = 0; i < 2 && best.wall_seconds < 2.0; ++i) {
    const Cost cost = run_process(command);
    best.wall_seconds = std::min(best.wall_seconds, cost.wall_seconds);
    best.peak_bytes = std::max(best.peak_bytes, cost.peak_bytes);
  }
  return best;
}

// The slope of log time over log GPUs, by least squares.
double exponent(const std::vector<std::pair<double, double>>& points) {
  double x = 0.0;
  double y = 0.0;
  double xx = 0.0;
  double xy = 0.0;
  for (const auto& [gpus, seconds] : points) {
    x += std::log(gpus);
    y += std::log(seconds);
    xx += std::log(gpus) * std::log(gpus);
    xy += std::log(gpus) * std::log(seconds);
  }
  const auto n = static_cast<double>(points.size());
  return (n * xy - x * y) / (n * xx - x * x);
}

void write_performance(const std::string& file) {
  std::string page =
      "# Performance\n\nWritten by `build/release/validation/bench/trainyard_bench --performance=FILE`: ";
  page +=
      "whole process, start to exit; the least wall time of three runs (one where it takes over 2 s), the largest "
      "peak.\n\n";
  page += fmt::format("- machine: {}, {} processors\n- commit: {}\n- build: Release\n\n",
                      first_line_of("/proc/cpuinfo", "model name"), ::sysconf(_SC_NPROCESSORS_ONLN), commit());
  page += "| case | wall | bar | peak memory | bar | command |\n|---|---|---|---|---|---|\n";
  std::vector<std::pair<double, double>> growth;
  for (const Case& one : cases()) {
    const Cost cost = best_of(one.command);
    page += fmt::format("| {} | {:.3f} s | {} | {:.0f} MB | {} | `./trainyard {}` |\n", one.name, cost.wall_seconds,
                        one.most_seconds > 0.0 ? fmt::format("{} s", one.most_seconds) : "-", cost.peak_bytes / 1e6,
                        one.most_megabytes > 0.0 ? fmt::format("{} MB", one.most_megabytes) : "-",
                        fmt::join(one.command, " "));
    if (cost.exit_code != 0) {
      page += fmt::format("\n{} ended with exit code {}\n\n", one.name, cost.exit_code);
    }
    for (const int gpus : kSizes) {
      if (one.name == fmt::format("growth_{}_gpus", gpus)) {
        growth.emplace_back(gpus, cost.wall_seconds);
      }
    }
    fmt::print("{} {:.3f} s\n", one.name, cost.wall_seconds);
  }
  page += fmt::format("\nWall time grows with GPUs^{:.2f} over {} to {} GPUs (bar: 0.6).\n", exponent(growth),
                      kSizes.front(), kSizes.back());
  trainyard::write_file(file, page);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string flag = "--performance=";
  if (argc == 2 && std::string(argv[1]).rfind(flag, 0) == 0) {
    write_performance(argv[1] + flag.size());
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  for (const Case& one : cases()) {
    benchmark::RegisterBenchmark(one.name.c_str(),
                                 [command = one.command](benchmark::State& state) { run_case(state, command); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
