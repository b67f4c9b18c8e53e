#include "validation/microbench/cuda/part.cuh"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace trainyard::microbench {

void Part::write(Json record, const Timing& timing, const char* rate_key, double work) {
  record["time_s"] = spread_json(timing.seconds);
  if (rate_key != nullptr) {
    record[rate_key] = work / record["time_s"]["median"].get<double>();
  }
  record.update(timing.device);
  out.write(record);
}

void Part::write_check(const std::string& kind, const std::string& what, double error, double tolerance) {
  const bool right = error <= tolerance;  // false for what is not a number
  out.write({{"record", kind},
             {"kernel", what},
             {"relative_error", std::isfinite(error) ? Json(error) : Json(nullptr)},
             {"tolerance", tolerance},
             {"right", right}});
  if (!right) {
    ++failed;
    fmt::print(stderr, "{} is wrong: error {:.3g}, allowed {:.3g}\n", what, error, tolerance);
  }
}

void Part::run_each(const std::vector<std::size_t>& order, const std::function<void(std::size_t)>& run) {
  std::size_t done = 0;
  for (const std::size_t index : order) {
    if (limit.passed()) {
      break;
    }
    ++done;
    try {
      run(index);
    } catch (const UserError&) {
      throw;  // the output, or a catalogue: every case would fail of it
    } catch (const std::exception& error) {
      ++failed;
      fmt::print(stderr, "case {} failed: {}\n", index, error.what());
      out.write({{"record", "failed"}, {"case", index}, {"why", error.what()}});
      cudaGetLastError();  // clears an error that did not end the context
      if (const cudaError_t still = cudaDeviceSynchronize(); still != cudaSuccess) {
        skipped += order.size() - done;
        throw ContextLost(
            fmt::format("the device answers no more after case {}: {}", index, cudaGetErrorString(still)));
      }
    }
  }
  skipped += order.size() - done;
}

void Part::run_cases(std::size_t count, const std::function<void(std::size_t)>& run) {
  run_each(spread_order(count), run);
}

void Part::run_in_order(std::size_t count, const std::function<void(std::size_t)>& run) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  run_each(order, run);
}

int run_part(int argc, char** argv, const std::string& name, const LibraryVersions& versions,
             const std::function<void(CLI::App&)>& add_options, const std::function<void(Part&)>& run) {
  constexpr int kSkipped = 77;  // what automake's and CMake's test drivers call a skipped test
  PartOptions options;
  CLI::App app("microbenchmark: " + name, "microbench_" + name);
  app.add_option("--out", options.out, "file to append JSON lines to (default: standard output)")->take_last();
  app.add_option("--seconds", options.seconds, "stop starting new cases after so long");
  app.add_option("--device", options.device, "CUDA device")->take_last();
  app.add_flag("--quick", options.quick, "only the cases that are worth most, the most valuable first");
  add_options(app);
  CLI11_PARSE(app, argc, argv);
  try {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices <= options.device) {
      fmt::print(stderr, "no CUDA device {} here: nothing was measured\n", options.device);
      return kSkipped;
    }
    TRAINYARD_CHECK(cudaSetDevice(options.device));
    DeviceMonitor monitor(options.device);
    RecordWriter out(options.out);
    out.write(machine_record(options.device, monitor, versions));
    Part part{.options = options, .out = out, .monitor = monitor, .limit = TimeLimit(options.seconds)};
    std::string lost;
    try {
      run(part);
    } catch (const ContextLost& error) {
      lost = error.what();
      fmt::print(stderr, "{}\n", lost);
    }
    Json closing = {
        {"record", "part"}, {"part", name}, {"cases_left_by_time_limit", part.skipped}, {"cases_failed", part.failed}};
    if (!lost.empty()) {
      closing["stopped"] = lost;
    }
    out.write(closing);
    return part.failed == 0 ? 0 : 1;
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {  // of the device, of NCCL, of memory
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace trainyard::microbench
