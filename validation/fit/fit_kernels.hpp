#pragma once
// Fitting the kernel models to benchmark tables: once to all rows, and once without each fold for honest scores.
#include <set>
#include <string>
#include <vector>

#include "validation/tables/kernel_measurements.hpp"

namespace trainyard {

struct KernelFit {
  std::string name;                  // of the profile: GpuSpec::calibration of the GPU
  std::string gpu;                   // whose rows it was fitted to
  FittedKernels all;                 // fitted to every row
  std::vector<FittedKernels> folds;  // kFolds of them, each fitted without the rows of its fold
  Json report;                       // inputs, ranges, errors in and out of sample, what was carried over
};

// Fits the profile of a catalogue GPU to the rows of the files that it prices. Sections without rows keep what the
// GPU's present profile says. Throws UserError when the GPU is unknown or no row can be used. Deterministic; takes
// minutes.
KernelFit fit_kernels(const std::string& gpu, const std::vector<std::string>& files);

// Writes kernels/calibration/<name>.json and validation/folds/<name>.json below the home folder; and, where the suite
// timed half-precision GEMMs in bursts and sustained, sustained_clock_ratio of kernels/gpus/<gpu>.json.
void save_fit(const KernelFit& fit);

// The cross-validation fits of a profile; empty when it has none.
std::vector<FittedKernels> load_folds(const std::string& profile);

// File names of the tables that a catalogue profile was fitted to; empty when it is of no fit, or there is none.
std::set<std::string> fit_inputs(const std::string& profile);

// What `trainyard calibrate` answers: the profile and how well it fits.
Json to_json(const KernelFit& fit);

}  // namespace trainyard
