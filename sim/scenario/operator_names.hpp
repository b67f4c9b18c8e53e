#pragma once
// Words for operators that a framework may run in several forms, and for what it computes again.
#include "models/operators.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {

inline constexpr NameTable<AttentionKernel, 3> kAttentionNames{
    {{{"unfused", AttentionKernel::kUnfused},
      {"fused-softmax", AttentionKernel::kUnfusedSoftmaxFused},
      {"flash", AttentionKernel::kFlash}}}};
// The cross entropy: one kernel that turns the logits into their gradient, or PyTorch's operations.
inline constexpr NameTable<Fusion, 2> kLossKernelNames{{{{"fused", Fusion::kOn}, {"unfused", Fusion::kOff}}}};
inline constexpr NameTable<Recompute, 3> kRecomputeNames{
    {{{"none", Recompute::kNone}, {"selective", Recompute::kSelective}, {"full", Recompute::kFull}}}};

}  // namespace trainyard
