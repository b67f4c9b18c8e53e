#include "validation/microbench/cuda/part.cuh"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

namespace trainyard::microbench {

void Part::run_cases(std::size_t count, const std::function<void(std::size_t)>& run) {
  std::size_t done = 0;
  for (const std::size_t index : spread_order(count)) {
    if (limit.passed()) {
      break;
    }
    ++done;
    try {
      run(index);
    } catch (const DeviceError& error) {
      ++failed;
      cudaGetLastError();  // clears an error that did not end the context
      fmt::print(stderr, "case {} failed: {}\n", index, error.what());
    }
  }
  skipped += count - done;
}

int run_part(int argc, char** argv, const std::string& name, const LibraryVersions& versions,
             const std::function<void(CLI::App&)>& add_options, const std::function<void(Part&)>& run) {
  constexpr int kSkipped = 77;  // what automake's and CMake's test drivers call a skipped test
  PartOptions options;
  CLI::App app("microbenchmark: " + name, "microbench_" + name);
  app.add_option("--out", options.out, "file to append JSON lines to (default: standard output)");
  app.add_option("--seconds", options.seconds, "stop starting new cases after so long");
  app.add_option("--device", options.device, "CUDA device");
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
    run(part);
    out.write({{"record", "part"},
               {"part", name},
               {"cases_left_by_time_limit", part.skipped},
               {"cases_failed", part.failed}});
    return part.failed == 0 ? 0 : 1;
  } catch (const UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const DeviceError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace trainyard::microbench
