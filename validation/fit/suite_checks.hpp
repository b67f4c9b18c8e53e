#pragma once
// What of the suite's output no parameter is fitted to and a fit is held against.
#include <string>
#include <vector>

#include "validation/tables/kernel_measurements.hpp"

namespace trainyard {

// Of every suite file among `files`, beside the fit: {"framework_kernels": {kernel: median predicted over
// measured}, "fixed_time": that of an empty kernel and the fitted one, which must not be less, "launch": {what:
// seconds}, "host_copies": best rates as shares of GpuSpec::pcie_bandwidth, "overlap": GEMMs beside a load, their
// slowdown measured and as the model has it, "train_steps": the steps measured, "skipped": {why: rows}}. Null when none
// is suite output.
Json suite_checks(const std::vector<std::string>& files, const GpuSpec& gpu, const FittedKernels& fitted);

// The slowdown of a GEMM beside a load that holds so many SMs and moves so many bytes per second.
double overlap_slowdown(const Gemm& work, const GpuSpec& gpu, const GemmParameters& parameters, int multiprocessors,
                        BytesPerSecond traffic);

}  // namespace trainyard
