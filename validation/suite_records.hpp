#pragma once
// The microbenchmark suite's output (validation/microbench/README.md: JSON lines) as rows that can be fitted.
#include <string>
#include <vector>

#include "validation/collective_measurements.hpp"
#include "validation/kernel_measurements.hpp"

namespace trainyard {

struct SuiteRecords {
  Json machines = Json::array();  // as recorded, for a profile to name
  std::vector<KernelMeasurement> kernels;
  std::vector<CollectiveMeasurement> collectives;  // their cluster is not known yet
};

// Whether a file is suite output, by its name's ending (.jsonl).
bool is_suite_output(const std::string& file);

// The records of gemm, attention, membound and nccl. GEMMs count cold and in bursts: what a step multiplies was last
// touched many kernels ago, and hours at the power limit are another parameter; the other GEMM records are skipped
// rows. Throws UserError naming the line for what is no record, for machines that are not `gpu` (compute capability and
// multiprocessors decide) and for measurements that no machine record precedes.
SuiteRecords read_suite(const std::string& file, const GpuSpec* gpu);

}  // namespace trainyard
