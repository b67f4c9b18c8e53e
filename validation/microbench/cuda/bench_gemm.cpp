// Matrix multiplication through cuBLASLt: layer GEMMs in bursts and for seconds, then the model catalogue's shapes and
// a sweep, every format, three passes, cold and warm cache. Each layout and format is first checked against float64.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>

#include "validation/microbench/cuda/lt_gemm.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"
#include "validation/microbench/gemm_cases.hpp"

namespace trainyard::microbench {
namespace {

// Operands reused after so many times the L2 cache's size of other traffic are no longer in it.
constexpr double kColdFactor = 4.0;
constexpr int kMostColdCalls = 2000;
constexpr double kMemoryShare = 0.8;  // of the free memory, for all copies of the operands
constexpr double kSustainedSeconds = 4.0;
constexpr double kSustainedBatch = 20e-3;  // the host's gap between replays is a thousandth of it
constexpr std::array<std::string_view, 3> kPassNames = {"forward", "dgrad", "wgrad"};

struct Selection {
  std::string cases = "all";
  std::vector<std::string> precisions;
};

class GemmPart {
 public:
  explicit GemmPart(Part& part) : part_(part) {
    cudaDeviceProp properties{};
    std::size_t all_bytes = 0;
    TRAINYARD_CHECK(cudaGetDeviceProperties(&properties, part.options.device));
    TRAINYARD_CHECK(cudaMemGetInfo(&free_bytes_, &all_bytes));
    l2_bytes_ = properties.l2CacheSize;
  }

  void measure(const MeasuredGemm& one, bool sustained) {
    const LtGemmSpec spec{.work = one.gemm.work, .pass = one.gemm.pass, .format = one.format};
    const double one_set = operand_bytes(spec);
    const double room = kMemoryShare * static_cast<double>(free_bytes_);
    if (one_set > room) {
      part_.out.write({{"record", "left_out"}, {"what", describe(one)}, {"why", "its operands do not fit in memory"}});
      return;
    }
    // One set is enough where it is larger than the cache itself.
    const double wanted = std::ceil(kColdFactor * l2_bytes_ / one_set) + 1.0;
    const int copies = std::clamp(static_cast<int>(std::min(wanted, room / one_set)), 1, kMostColdCalls);
    const LtGemm gemm(spec, copies, stream_.get());
    Json described = describe(one);
    described["layout"] = gemm.layout();
    described["algorithm"] = gemm.algorithm();
    const Enqueue warm = [&](cudaStream_t s, int) { gemm.enqueue(0, s); };
    const Enqueue cold = [&](cudaStream_t s, int call) { gemm.enqueue(call % copies, s); };
    const int calls = calls_for_batch(stream_.get(), warm);
    const auto write = [&](const char* cache, const char* mode, const Timing& timing) {
      Json record = described;
      record["cache"] = cache;
      record["mode"] = mode;
      part_.write(std::move(record), timing, "flops_per_s", one.gemm.work.flops().value);
    };
    write("cold", "burst", burst_times(stream_.get(), std::max(calls, copies), cold, part_.monitor));
    write("warm", "burst", burst_times(stream_.get(), calls, warm, part_.monitor));
    if (sustained) {
      const double seconds = std::min(kSustainedSeconds, std::max(part_.limit.left(), 1.0));
      const int many = calls_for_batch(stream_.get(), cold, kSustainedBatch, kMostColdCalls);
      write("cold", "sustained", sustained_times(stream_.get(), std::max(many, copies), cold, seconds, part_.monitor));
    }
  }

  // A small GEMM of the format and the pass's layout; the tolerance is of the narrowest rounding on the way.
  void check(const GemmFormat& format, Pass pass) {
    // fp8's tensor cores keep some 14 bits of a sum. A bf16 result is rounded by up to 2^-9, an fp16 one by 2^-12 on
    // average; tf32 operands by 2^-11.
    constexpr std::array<std::pair<Precision, double>, 5> kTolerances = {{{Precision::kBf16, 4e-3},
                                                                          {Precision::kFp8, 1e-2},
                                                                          {Precision::kFp16, 1e-3},
                                                                          {Precision::kTf32, 2e-3},
                                                                          {Precision::kFp32, 1e-5}}};
    const std::int64_t batch = format.precision == Precision::kFp8 ? 1 : 2;
    const LtGemm gemm({.work = {.m = 208, .n = 176, .k = 144, .batch = batch}, .pass = pass, .format = format}, 1,
                      stream_.get());
    const auto* tolerance = std::find_if(kTolerances.begin(), kTolerances.end(),
                                         [&](const auto& row) { return row.first == format.precision; });
    part_.write_check("gemm_check",
                      fmt::format("{} x {} -> {} {} {}{}", gemm.formats().left, gemm.formats().right,
                                  gemm.formats().result, kPassNames[static_cast<std::size_t>(pass)], gemm.layout(),
                                  format.fast_accumulation ? " fast accumulation" : ""),
                      gemm.check(stream_.get()), tolerance->second);
  }

 private:
  static Json describe(const MeasuredGemm& one) {
    const Gemm& work = one.gemm.work;
    const OperandFormats formats = operand_formats(one.format, one.gemm.pass);
    return {{"record", "gemm"},
            {"dtype", std::string(kPrecisionNames.name_of(one.format.precision))},
            {"m", work.m},
            {"n", work.n},
            {"k", work.k},
            {"batch", work.batch},
            {"pass", kPassNames[static_cast<std::size_t>(one.gemm.pass)]},
            {"a_dtype", formats.left},
            {"b_dtype", formats.right},
            {"out_dtype", formats.result},
            {"accumulate", one.format.accumulates},
            {"fast_accumulate", one.format.fast_accumulation},
            {"origin", one.gemm.origin}};
  }

  Part& part_;
  Stream stream_;
  double l2_bytes_ = 0.0;
  std::size_t free_bytes_ = 0;
};

std::vector<Precision> precisions_of(const Selection& selection) {
  std::vector<Precision> out;
  for (const std::string& name : selection.precisions) {
    out.push_back(*kPrecisionNames.find(name));
  }
  return out;
}

void run(Part& part, const Selection& selection) {
  GemmPart gemms(part);
  const std::vector<Precision> precisions = precisions_of(selection);
  const auto wanted = [&](const GemmFormat& format) {
    return precisions.empty() || std::find(precisions.begin(), precisions.end(), format.precision) != precisions.end();
  };
  std::vector<MeasuredGemm> checked;
  for (const GemmFormat& format : checked_formats()) {
    for (const Pass pass : {Pass::kForward, Pass::kDgrad, Pass::kWgrad}) {
      if (wanted(format) && (!format.accumulates || pass == Pass::kWgrad)) {
        checked.push_back({{.work = {}, .pass = pass, .origin = "check"}, format});
      }
    }
  }
  part.run_in_order(checked.size(), [&](std::size_t i) { gemms.check(checked[i].format, checked[i].gemm.pass); });

  std::vector<MeasuredGemm> quick = quick_gemms();
  std::erase_if(quick, [&](const MeasuredGemm& one) { return !wanted(one.format); });
  part.run_in_order(quick.size(), [&](std::size_t i) { gemms.measure(quick[i], true); });
  if (part.options.quick) {
    return;
  }
  const std::vector<GemmCase> catalogue = selection.cases == "sweep" ? std::vector<GemmCase>() : catalogue_gemms();
  const std::vector<GemmCase> sweep = selection.cases == "catalogue" ? std::vector<GemmCase>() : sweep_gemms();
  for (const std::vector<MeasuredGemm>& members : gemm_classes(catalogue, sweep, precisions)) {
    part.run_cases(members.size(), [&](std::size_t i) { gemms.measure(members[i], false); });
  }
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
        app.add_option("--dtypes", selection.precisions, "fp32, tf32, fp16, bf16, fp8 (default all)")
            ->delimiter(',')
            ->check(CLI::IsMember({"fp32", "tf32", "fp16", "bf16", "fp8"}));
      },
      [&](Part& part) { run(part, selection); });
}
