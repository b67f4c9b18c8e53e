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
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "validation/bench/bench_cases.hpp"
#include "validation/bench/performance_page.hpp"
#include "validation/bench/process_cost.hpp"

using namespace trainyard;

namespace {

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
    const ProcessCost cost = run_process(arguments);
    if (cost.exit_code != 0) {
      state.SkipWithError(fmt::format("exit code {}", cost.exit_code).c_str());
      return;
    }
    state.SetIterationTime(cost.wall_seconds);
    peak_bytes = std::max(peak_bytes, cost.peak_bytes);
    if (is_run) {
      last = read_json_file(result);
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

}  // namespace

int main(int argc, char** argv) {
  const std::string flag = "--performance=";
  if (argc == 2 && std::string(argv[1]).rfind(flag, 0) == 0) {
    write_performance_page(argv[1] + flag.size());
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  std::vector<BenchCase> all = bench_cases();
  for (const int gpus : kGrowthGpus) {
    all.push_back({fmt::format("growth_{}_gpus", gpus), growth_command(gpus)});
  }
  all.push_back({"screening", screening_command()});
  for (const BenchCase& one : all) {
    benchmark::RegisterBenchmark(one.name.c_str(),
                                 [command = one.command](benchmark::State& state) { run_case(state, command); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
