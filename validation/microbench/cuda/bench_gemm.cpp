// Matrix multiplication through cuBLASLt: the model catalogue's shapes and a sweep, every format, three passes, cold
// and warm cache, burst and sustained.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "validation/microbench/cuda/lt_gemm.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"
#include "validation/microbench/gemm_cases.hpp"

namespace trainyard::microbench {
namespace {

// Operands reused after so many times the L2 cache's size of other traffic are no longer in it.
constexpr double kColdFactor = 4.0;
constexpr int kMostColdCalls = 2000;
constexpr double kSustainedSeconds = 3.0;
constexpr std::size_t kSustainedCases = 6;

struct FormatCase {
  Precision precision;
  bool accumulates;  // C fp32, added to: a weight gradient into Megatron's main gradient
};
constexpr std::array<FormatCase, 6> kFormats = {{{Precision::kBf16, false},
                                                 {Precision::kBf16, true},
                                                 {Precision::kFp8, false},
                                                 {Precision::kFp16, false},
                                                 {Precision::kTf32, false},
                                                 {Precision::kFp32, false}}};

struct Selection {
  std::string cases = "all";
  std::vector<std::string> formats;
};

struct Case {
  GemmCase gemm;
  FormatCase format;
};

std::vector<Case> cases_of(const Selection& selection) {
  std::vector<GemmCase> gemms;
  if (selection.cases != "sweep") {
    gemms = catalogue_gemms();
  }
  if (selection.cases != "catalogue") {
    const std::vector<GemmCase> sweep = sweep_gemms();
    gemms.insert(gemms.end(), sweep.begin(), sweep.end());
  }
  std::vector<Case> out;
  for (const FormatCase& format : kFormats) {
    const std::string name(kPrecisionNames.name_of(format.precision));
    if (!selection.formats.empty() &&
        std::find(selection.formats.begin(), selection.formats.end(), name) == selection.formats.end()) {
      continue;
    }
    for (const GemmCase& gemm : gemms) {
      if (!format.accumulates || gemm.pass == Pass::kWgrad) {
        out.push_back({gemm, format});
      }
    }
  }
  return out;
}

Json describe(const Case& one, const LtGemm& gemm) {
  const Gemm& work = one.gemm.work;
  constexpr std::array<std::string_view, 3> kPassNames = {"forward", "dgrad", "wgrad"};
  return {{"record", "gemm"},
          {"dtype", std::string(kPrecisionNames.name_of(one.format.precision))},
          {"m", work.m},
          {"n", work.n},
          {"k", work.k},
          {"batch", work.batch},
          {"pass", kPassNames[static_cast<std::size_t>(one.gemm.pass)]},
          {"layout", gemm.layout()},
          {"out_dtype", gemm.out_dtype()},
          {"accumulate", one.format.accumulates},
          {"origin", one.gemm.origin},
          {"algorithm", gemm.algorithm()}};
}

void write_time(Part& part, Json record, const char* cache, const char* mode, const std::vector<double>& seconds,
                const Gemm& work) {
  record["cache"] = cache;
  record["mode"] = mode;
  record["time_s"] = spread_json(seconds);
  record["flops_per_s"] = work.flops().value / record["time_s"]["median"].get<double>();
  part.write(std::move(record));
}

void measure(Part& part, const Case& one, const Stream& stream, double l2_bytes, std::size_t free_bytes,
             bool sustained) {
  const LtGemmSpec spec{.work = one.gemm.work,
                        .pass = one.gemm.pass,
                        .precision = one.format.precision,
                        .accumulates = one.format.accumulates};
  const double one_set = operand_bytes(spec);
  const int copies = std::clamp(static_cast<int>(kColdFactor * l2_bytes / one_set) + 1, 2, kMostColdCalls);
  if (one_set * copies > 0.8 * static_cast<double>(free_bytes)) {
    ++part.skipped;
    return;
  }
  const LtGemm gemm(spec, copies, stream.get());
  const Json described = describe(one, gemm);
  const Enqueue warm = [&](cudaStream_t s, int) { gemm.enqueue(0, s); };
  const Enqueue cold = [&](cudaStream_t s, int call) { gemm.enqueue(call % copies, s); };
  const int calls = calls_for_batch(stream.get(), warm);
  if (sustained) {
    const Sustained run = sustained_times(stream.get(), std::max(calls, 20), cold, kSustainedSeconds, part.monitor);
    Json record = described;
    record["sustained_sm_clock_hz"] = run.sm_clock_hz;
    record["sustained_power_w"] = run.power_w;
    write_time(part, std::move(record), "cold", "sustained", run.seconds, one.gemm.work);
  }
  write_time(part, described, "warm", "burst", burst_times(stream.get(), calls, warm), one.gemm.work);
  write_time(part, described, "cold", "burst",
             burst_times(stream.get(), std::max(calls, std::min(copies, kMostColdCalls)), cold), one.gemm.work);
}

void run(Part& part, const Selection& selection) {
  cudaDeviceProp properties{};
  std::size_t free_bytes = 0;
  std::size_t all_bytes = 0;
  TRAINYARD_CHECK(cudaGetDeviceProperties(&properties, part.options.device));
  TRAINYARD_CHECK(cudaMemGetInfo(&free_bytes, &all_bytes));
  const Stream stream;
  const std::vector<Case> cases = cases_of(selection);
  // The largest of each format run long as well, because training does.
  std::vector<std::size_t> by_flops(cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    by_flops[i] = i;
  }
  std::vector<bool> sustained(cases.size(), false);
  for (const FormatCase& format : kFormats) {
    std::vector<std::size_t> mine;
    std::copy_if(by_flops.begin(), by_flops.end(), std::back_inserter(mine), [&](std::size_t i) {
      return cases[i].format.precision == format.precision && cases[i].format.accumulates == format.accumulates;
    });
    std::stable_sort(mine.begin(), mine.end(), [&](std::size_t a, std::size_t b) {
      return cases[a].gemm.work.flops() > cases[b].gemm.work.flops();
    });
    for (std::size_t i = 0; i < std::min(kSustainedCases, mine.size()); ++i) {
      sustained[mine[i]] = true;
    }
  }
  part.run_cases(cases.size(), [&](std::size_t i) {
    measure(part, cases[i], stream, properties.l2CacheSize, free_bytes, sustained[i]);
  });
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  Selection selection;
  const std::size_t version = cublasLtGetVersion();
  return run_part(
      argc, argv, "gemm", {.cublaslt = fmt::format("{}", version)},
      [&](CLI::App& app) {
        app.add_option("--cases", selection.cases, "catalogue, sweep or all (default)")
            ->check(CLI::IsMember({"catalogue", "sweep", "all"}));
        app.add_option("--dtypes", selection.formats, "fp32, tf32, fp16, bf16, fp8 (default all)")->delimiter(',');
      },
      [&](Part& part) { run(part, selection); });
}
