#pragma once
// The room's own tool for writing operator lists: one function per kind of operator.
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "models/blocks/shard.hpp"

namespace trainyard {

class OperatorList : public ShardContext {
 public:
  explicit OperatorList(const ShardContext& context) : ShardContext(context) {}

  void gemm(std::string_view name, Pass pass, const Gemm& work) { add(name, pass, work); }
  void grouped_gemm(std::string_view name, Pass pass, const GroupedGemm& work) { add(name, pass, work); }
  void attention(std::string_view name, Pass pass, const Attention& work) { add(name, pass, work); }
  void convolution(std::string_view name, Pass pass, const Convolution& work) { add(name, pass, work); }
  void memory_bound(std::string_view name, Pass pass, const MemoryBound& work) { add(name, pass, work); }
  // A kernel that moves `bytes_per_element` for each of `elements`.
  void elementwise(std::string_view name, Pass pass, std::int64_t elements, Bytes bytes_per_element);
  // `launches` kernels that each read and write one fp32 number for each of `elements`.
  void small(std::string_view name, Pass pass, std::int64_t elements, int launches);
  // A collective on the tensor-parallel group; nothing when tp is 1.
  void collective(CollectiveOp op, Pass pass, Bytes size, int overlapped_operators = 0);
  // One over another group.
  void collective(ParallelGroup group, std::string_view name, CollectiveOp op, Pass pass, Bytes size,
                  int overlapped_operators = 0);
  // The host waits for the device.
  void host_sync(std::string_view name) { add(name, Pass::kForward, HostSync{}); }
  // The collective last added runs beside what is added between these two.
  std::size_t begin_beside() const { return operators_.size(); }
  void end_beside(std::size_t begin);
  // What follows trains though the base is frozen.
  void begin_adapter() { in_adapter_ = true; }
  void end_adapter() { in_adapter_ = false; }

  // Narrow operands of `elements` numbers: the kernels that write them. Nothing for 16 and more bits.
  void quantize(Precision precision, std::int64_t elements, Pass pass);
  // A copy between the formats of the residual stream and of the GEMMs, where these differ.
  void cast(std::string_view name, Pass pass, std::int64_t elements);
  // The gradient of a parameter that no GEMM accumulates: one kernel, when there is a buffer to add it to.
  void accumulate_gradient(std::int64_t elements);

  // A tensor of stored activations, and a hidden one (tokens x hidden).
  Bytes tensor(std::int64_t rows, std::int64_t columns) const {
    return static_cast<double>(rows) * static_cast<double>(columns) * element();
  }
  Bytes hidden_tensor() const { return tensor(shard().tokens, model().hidden); }

  std::vector<Operator> take() { return std::move(operators_); }

 private:
  void add(std::string_view name, Pass pass,
           std::variant<Gemm, GroupedGemm, Attention, Convolution, MemoryBound, GroupCollective, HostSync> work) {
    // What a frozen base does not compute: gradients of its parameters.
    if (pass != Pass::kWgrad || !model().adapters || in_adapter_) {
      operators_.push_back({.name = name, .pass = pass, .work = std::move(work)});
    }
  }

  bool in_adapter_ = false;
  std::vector<Operator> operators_;
};

}  // namespace trainyard
