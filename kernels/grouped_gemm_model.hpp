#pragma once
// Grouped matrix multiplication on one GPU: the GEMMs of all experts of a rank, asked for in one call.
#include "kernels/gemm_model.hpp"
#include "kernels/grouped_kernel.hpp"

namespace trainyard {

// Device time from the first GEMM's start to the last one's end, from the parameters of dense GEMMs. Zero when there is
// nothing to multiply. `clock_ratio` as for gemm_time.
Seconds grouped_gemm_time(const GroupedGemm& work, GroupedKernel kernel, const GpuSpec& gpu,
                          const GemmParameters& parameters, double clock_ratio, const GpuShare& share = {});

}  // namespace trainyard
