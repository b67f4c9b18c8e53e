#include "validation/bench/performance_page.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"
#include "validation/bench/bench_cases.hpp"
#include "validation/bench/process_cost.hpp"

namespace trainyard {
namespace {

// The value of the first line of /proc/cpuinfo and its like that begins with `key`.
std::string value_in(const char* path, const std::string& key) {
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

// The least of five runs: what else the machine does only adds. Long cases run once.
ProcessCost best_of(const std::vector<std::string>& command) {
  constexpr int kFurtherRuns = 4;
  constexpr double kLong = 3.0;  // seconds
  ProcessCost best = run_process(command);
  for (int i = 0; i < kFurtherRuns && best.wall_seconds < kLong; ++i) {
    const ProcessCost cost = run_process(command);
    best.wall_seconds = std::min(best.wall_seconds, cost.wall_seconds);
    best.cpu_seconds = std::min(best.cpu_seconds, cost.cpu_seconds);
    best.peak_bytes = std::max(best.peak_bytes, cost.peak_bytes);
    best.exit_code = std::max(best.exit_code, cost.exit_code);
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

std::string bar(double most, const char* unit) {
  return most > 0.0 ? fmt::format("{:g} {}", most, unit) : "-";
}

std::string row(const BenchCase& one, const ProcessCost& cost) {
  const std::string failed = cost.exit_code == 0 ? "" : fmt::format(" (exit code {})", cost.exit_code);
  return fmt::format("| {}{} | {:.3f} s | {} | {:.3f} s | {:.0f} MB | {} | `{}` |\n", one.name, failed,
                     cost.wall_seconds, bar(one.most_seconds, "s"), cost.cpu_seconds, cost.peak_bytes / 1e6,
                     bar(one.most_megabytes, "MB"), fmt::join(one.command, " "));
}

// The document that a command writes.
Json result_of(std::vector<std::string> command) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_bench_{}.json", ::getpid());
  command.insert(command.end(), {"--json", file.string()});
  run_process(command);
  Json document = read_json_file(file);
  std::filesystem::remove(file);
  return document;
}

std::string growth_text() {
  std::string text = "\n## Growth with GPUs\n\nOne shape of model replica (tp 8), more and more of them.\n\n";
  text += "| GPUs | wall | cpu | peak memory |\n|---|---|---|---|\n";
  std::vector<std::pair<double, double>> points;
  for (const int gpus : kGrowthGpus) {
    const ProcessCost cost = best_of(growth_command(gpus));
    points.emplace_back(gpus, cost.wall_seconds);
    text += fmt::format("| {} | {:.3f} s | {:.3f} s | {:.0f} MB |\n", gpus, cost.wall_seconds, cost.cpu_seconds,
                        cost.peak_bytes / 1e6);
  }
  return text + fmt::format("\nWall time grows with GPUs^{:.2f} (bar: {:g}). `{}`\n", exponent(points),
                            kLargestGrowthExponent, fmt::join(growth_command(kGrowthGpus.back()), " "));
}

std::string screening_text() {
  constexpr int kRuns = 5;
  double best = 0.0;
  std::size_t layouts = 0;
  for (int i = 0; i < kRuns; ++i) {
    const Json result = result_of(screening_command());
    layouts = result["layouts"].size();
    best = std::max(best, static_cast<double>(layouts) / result["screening_wall_s"].get<double>());
  }
  return fmt::format(
      "\n## Screening\n\n{} layouts by formula and their memory, from nothing: {:.0f} layouts a second on one core "
      "(bar: {:g}). `{}`\n",
      layouts, best, kLeastLayoutsPerSecond, fmt::join(screening_command(), " "));
}

// What a simulation without any symmetry costs.
std::string unfolded_text() {
  const std::vector<std::string> command = unfolded_command();
  const ProcessCost cost = run_process(command);
  const Json sim = result_of(command)["sim"];
  const double events = sim["events"];
  const double ranks = sim["ranks_simulated"];
  return fmt::format(
      "\n## Every rank simulated\n\n{:.0f} ranks, {:.3g} events: {:.0f} ns of processor time per event, {:.0f} kB per "
      "rank, {:.0f} bytes per event. `{}`\n",
      ranks, events, 1e9 * cost.cpu_seconds / events, cost.peak_bytes / 1e3 / ranks, cost.peak_bytes / events,
      fmt::join(command, " "));
}

// The same step, folded, by the reference engine.
std::string simgrid_text() {
  const std::vector<std::string> command = simgrid_command();
  const ProcessCost cost = best_of(command);
  const double events = result_of(command)["sim"]["events"];
  return fmt::format("\n## SimGrid alone\n\n{:.3g} events: {:.0f} ns of processor time per event. `{}`\n", events,
                     1e9 * cost.cpu_seconds / events, fmt::join(command, " "));
}

}  // namespace

void write_performance_page(const std::string& file) {
  std::string page =
      "# Performance\n\nWritten by `build/release/validation/bench/trainyard_bench --performance=FILE`: whole "
      "processes, start to exit, their output thrown away; the least time of five runs (one where it takes over 3 s), "
      "the largest peak. Arguments are those of `./trainyard`.\n\n";
  page += fmt::format("- machine: {}, {} processors, Linux\n- commit: {}\n- build: Release\n\n",
                      value_in("/proc/cpuinfo", "model name"), ::sysconf(_SC_NPROCESSORS_ONLN), commit());
  page += "| case | wall | bar | cpu | peak memory | bar | arguments |\n|---|---|---|---|---|---|---|\n";
  for (const BenchCase& one : bench_cases()) {
    const ProcessCost cost = best_of(one.command);
    page += row(one, cost);
    fmt::print("{} {:.3f} s\n", one.name, cost.wall_seconds);
    std::fflush(stdout);
  }
  page += growth_text();
  page += screening_text();  // reads a long answer: processes that are started later begin with a larger peak
  page += unfolded_text();
  page += simgrid_text();
  write_file(file, page);
}

}  // namespace trainyard
