#pragma once
// Every call of CUDA's libraries is checked: a failure names the call.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace trainyard::microbench {

// A call of the GPU's libraries that failed: the measurement is void, the machine is at fault.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) {
    throw DeviceError(std::string(call) + ": " + cudaGetErrorString(status));
  }
}

inline void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(std::string(call) + ": " + cublasLtGetStatusString(status));
  }
}

}  // namespace trainyard::microbench

#define TRAINYARD_CHECK(call) ::trainyard::microbench::check((call), #call)
