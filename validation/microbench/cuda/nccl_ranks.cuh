#pragma once
// The ranks of a communicator that this process drives, and the operations of nccl-tests over them.
#include <nccl.h>

#include <optional>
#include <string>
#include <vector>

#include "sim/base/work.hpp"
#include "validation/microbench/bootstrap.hpp"
#include "validation/microbench/cuda/device_array.cuh"

namespace trainyard::microbench {

inline void check(ncclResult_t status, const char* call) {
  if (status != ncclSuccess) {
    throw DeviceError(std::string(call) + ": " + ncclGetErrorString(status));
  }
}

struct NcclType {
  std::string name;  // as nccl-tests calls it
  ncclDataType_t type;
  int bytes;
};
std::optional<NcclType> nccl_type(const std::string& name);
std::vector<std::string> nccl_type_names();

// Operations over the sizes nccl-tests counts: bytes of a rank's buffer, or of all ranks together for all-gather,
// reduce-scatter, all-to-all, gather and scatter.
class NcclRanks {
 public:
  // Every GPU of this process is a rank. `largest` is the most bytes of any operation.
  NcclRanks(int gpus, std::size_t largest);
  // This process is one rank on `device`.
  NcclRanks(Bootstrap& bootstrap, int device, std::size_t largest);
  ~NcclRanks();
  NcclRanks(const NcclRanks&) = delete;
  NcclRanks& operator=(const NcclRanks&) = delete;

  int size() const { return size_; }
  // Enqueues the operation once on every local rank.
  void enqueue(CollectiveOp op, std::size_t size_bytes, const NcclType& type, bool in_place);
  // Until every local rank is through. Throws DeviceError for NCCL's asynchronous errors too: a peer that is gone.
  void wait() const;
  // The stream of the first local rank, whose time stands for all.
  cudaStream_t first_stream() const;
  // Runs the operation on known values (collective_check.hpp), `share` fp32 elements for each rank, and counts the
  // elements of local ranks that come out wrong. Buffers must hold share x size() elements.
  std::int64_t count_wrong(CollectiveOp op, std::size_t share);

 private:
  struct Rank {
    int rank = 0;
    int device = 0;
    ncclComm_t communicator = nullptr;
    mutable bool aborted = false;
    cudaStream_t stream = nullptr;
    DeviceArray<unsigned char> send;
    DeviceArray<unsigned char> receive;
  };
  void prepare(Rank& rank, std::size_t largest);
  void enqueue_on(const Rank& rank, CollectiveOp op, std::size_t size_bytes, const NcclType& type, bool in_place) const;

  int size_ = 0;
  std::vector<Rank> ranks_;
};

}  // namespace trainyard::microbench
