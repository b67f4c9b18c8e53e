#include "validation/microbench/cuda/nccl_ranks.cuh"

#include <algorithm>
#include <array>
#include <cstring>

#include "validation/microbench/collective_check.hpp"

namespace trainyard::microbench {
namespace {

const std::array<NcclType, 5> kTypes = {{{"float", ncclFloat32, 4},
                                         {"half", ncclFloat16, 2},
                                         {"bfloat16", ncclBfloat16, 2},
                                         {"int8", ncclInt8, 1},
                                         {"double", ncclFloat64, 8}}};

}  // namespace

std::optional<NcclType> nccl_type(const std::string& name) {
  const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const NcclType& t) { return t.name == name; });
  return found == kTypes.end() ? std::nullopt : std::optional(*found);
}

std::vector<std::string> nccl_type_names() {
  std::vector<std::string> names;
  for (const NcclType& type : kTypes) {
    names.push_back(type.name);
  }
  return names;
}

NcclRanks::NcclRanks(int gpus, std::size_t largest) : size_(gpus) {
  std::vector<ncclComm_t> communicators(static_cast<std::size_t>(gpus));
  TRAINYARD_CHECK(ncclCommInitAll(communicators.data(), gpus, nullptr));
  for (int rank = 0; rank < gpus; ++rank) {
    ranks_.push_back({.rank = rank, .device = rank, .communicator = communicators[static_cast<std::size_t>(rank)]});
    prepare(ranks_.back(), largest);
  }
}

NcclRanks::NcclRanks(Bootstrap& bootstrap, int device, std::size_t largest) : size_(bootstrap.size()) {
  ncclUniqueId id{};
  if (bootstrap.rank() == 0) {
    TRAINYARD_CHECK(ncclGetUniqueId(&id));
  }
  const std::string shared = bootstrap.broadcast(std::string_view(id.internal, sizeof(id.internal)));
  std::memcpy(id.internal, shared.data(), std::min(shared.size(), sizeof(id.internal)));
  TRAINYARD_CHECK(cudaSetDevice(device));
  ranks_.push_back({.rank = bootstrap.rank(), .device = device});
  TRAINYARD_CHECK(ncclCommInitRank(&ranks_.back().communicator, size_, id, bootstrap.rank()));
  prepare(ranks_.back(), largest);
}

NcclRanks::~NcclRanks() {
  for (Rank& rank : ranks_) {
    cudaSetDevice(rank.device);
    if (rank.communicator != nullptr && !rank.aborted) {
      ncclCommDestroy(rank.communicator);
    }
    if (rank.stream != nullptr) {
      cudaStreamDestroy(rank.stream);
    }
  }
}

void NcclRanks::prepare(Rank& rank, std::size_t largest) {
  TRAINYARD_CHECK(cudaSetDevice(rank.device));
  TRAINYARD_CHECK(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking));
  rank.send = DeviceArray<unsigned char>(largest);
  rank.receive = DeviceArray<unsigned char>(largest);
  TRAINYARD_CHECK(cudaMemset(rank.send.data(), 0, largest));
  TRAINYARD_CHECK(cudaMemset(rank.receive.data(), 0, largest));
}

void NcclRanks::enqueue(CollectiveOp op, std::size_t size_bytes, const NcclType& type, bool in_place) {
  TRAINYARD_CHECK(ncclGroupStart());
  for (const Rank& rank : ranks_) {
    enqueue_on(rank, op, size_bytes, type, in_place);
  }
  TRAINYARD_CHECK(ncclGroupEnd());
}

void NcclRanks::enqueue_on(const Rank& rank, CollectiveOp op, std::size_t size_bytes, const NcclType& type,
                           bool in_place) const {
  const std::size_t all = size_bytes / static_cast<std::size_t>(type.bytes);
  const std::size_t count = splits_buffer(op) ? all / static_cast<std::size_t>(size_) : all;
  const std::size_t stride = count * static_cast<std::size_t>(type.bytes);
  unsigned char* to = rank.receive.data();
  unsigned char* from = in_place ? to : rank.send.data();
  const auto send = [&](int peer, std::size_t offset) {
    TRAINYARD_CHECK(ncclSend(from + offset, count, type.type, peer, rank.communicator, rank.stream));
  };
  const auto receive = [&](int peer, std::size_t offset) {
    TRAINYARD_CHECK(ncclRecv(to + offset, count, type.type, peer, rank.communicator, rank.stream));
  };
  switch (op) {
    case CollectiveOp::kAllReduce:
      TRAINYARD_CHECK(ncclAllReduce(from, to, count, type.type, ncclSum, rank.communicator, rank.stream));
      break;
    case CollectiveOp::kAllGather:
      TRAINYARD_CHECK(ncclAllGather(from, to, count, type.type, rank.communicator, rank.stream));
      break;
    case CollectiveOp::kReduceScatter:
      TRAINYARD_CHECK(ncclReduceScatter(from, to, count, type.type, ncclSum, rank.communicator, rank.stream));
      break;
    case CollectiveOp::kBroadcast:
      TRAINYARD_CHECK(ncclBroadcast(from, to, count, type.type, 0, rank.communicator, rank.stream));
      break;
    case CollectiveOp::kReduce:
      TRAINYARD_CHECK(ncclReduce(from, to, count, type.type, ncclSum, 0, rank.communicator, rank.stream));
      break;
    // The rest are groups of sends and receives, as in nccl-tests.
    case CollectiveOp::kAllToAll:
    case CollectiveOp::kAllToAllV:  // with even counts
      for (int peer = 0; peer < size_; ++peer) {
        send(peer, stride * static_cast<std::size_t>(peer));
        receive(peer, stride * static_cast<std::size_t>(peer));
      }
      break;
    case CollectiveOp::kGather:
      send(0, 0);
      for (int peer = 0; rank.rank == 0 && peer < size_; ++peer) {
        receive(peer, stride * static_cast<std::size_t>(peer));
      }
      break;
    case CollectiveOp::kScatter:
      for (int peer = 0; rank.rank == 0 && peer < size_; ++peer) {
        send(peer, stride * static_cast<std::size_t>(peer));
      }
      receive(0, 0);
      break;
    case CollectiveOp::kSendRecv:
      send((rank.rank + 1) % size_, 0);
      receive((rank.rank + size_ - 1) % size_, 0);
      break;
    case CollectiveOp::kBarrier:
      throw DeviceError("NCCL has no barrier of its own");
  }
}

void NcclRanks::wait() const {
  // A stream whose collective lost a peer never ends by itself.
  constexpr int kQueriesBetween = 1000;
  for (const Rank& rank : ranks_) {
    for (int queries = 0;; ++queries) {
      const cudaError_t state = cudaStreamQuery(rank.stream);
      if (state == cudaSuccess) {
        break;
      }
      if (state != cudaErrorNotReady) {
        check(state, "cudaStreamQuery");
      }
      if (queries % kQueriesBetween == 0) {
        ncclResult_t failure = ncclSuccess;
        TRAINYARD_CHECK(ncclCommGetAsyncError(rank.communicator, &failure));
        if (failure != ncclSuccess && failure != ncclInProgress) {
          ncclCommAbort(rank.communicator);
          rank.aborted = true;
          check(failure, "an operation under way");
        }
      }
    }
  }
}

cudaStream_t NcclRanks::first_stream() const {
  return ranks_.front().stream;
}

std::int64_t NcclRanks::count_wrong(CollectiveOp op, std::size_t share) {
  const NcclType type = kTypes[0];
  const CheckedCollective check{.op = op, .ranks = size_, .share = share};
  const std::size_t elements = share * static_cast<std::size_t>(size_);
  const std::size_t bytes = elements * sizeof(float);
  for (const Rank& rank : ranks_) {
    std::vector<float> values(elements);
    for (std::size_t i = 0; i < elements; ++i) {
      values[i] = sent_value(rank.rank, i);
    }
    TRAINYARD_CHECK(cudaSetDevice(rank.device));
    TRAINYARD_CHECK(cudaMemcpy(rank.send.data(), values.data(), bytes, cudaMemcpyHostToDevice));
    TRAINYARD_CHECK(cudaMemset(rank.receive.data(), 0xFF, bytes));  // a NaN everywhere
    TRAINYARD_CHECK(cudaDeviceSynchronize());
  }
  enqueue(op, bytes, type, false);
  wait();
  std::int64_t wrong = 0;
  for (const Rank& rank : ranks_) {
    std::vector<float> values(received_elements(check));
    TRAINYARD_CHECK(
        cudaMemcpy(values.data(), rank.receive.data(), values.size() * sizeof(float), cudaMemcpyDeviceToHost));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto want = received_value(check, rank.rank, i);
      wrong += want && values[i] != *want ? 1 : 0;
    }
  }
  return wrong;
}

}  // namespace trainyard::microbench
