#pragma once
// Framework profiles: what a training framework does around the kernels. One JSON file each in sim/scenario/frameworks,
// on top of the one that it names as its base; every value has its source or fit in "sources".
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "models/operators.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"
#include "sim/scenario/data_parallel.hpp"
#include "sim/scenario/framework_document.hpp"
#include "sim/schedules/pipeline.hpp"

namespace trainyard {

// Time the host thread spends, per call. A rank whose kernels are shorter than their launches is host-bound.
struct HostCosts {
  Seconds forward_operator{};   // issuing one forward kernel: Python, dispatcher, launch
  Seconds backward_operator{};  // issuing one backward kernel from the autograd engine
  Seconds collective{};         // issuing one collective or a batch of sends and receives
  // What every member of a collective's group adds to its issue when the library has the members compare it first.
  Seconds collective_check{};
  Seconds micro_batch{};  // per forward or backward pass of a model chunk: data loader, Python of the schedule
  Seconds step{};         // per step: logging, loss scaling, learning rate
};

// The parameters of a profile that come from a fit to measured runs. A run that took part in the fit must be predicted
// with the values of the fold that left it out.
struct FittedValues {
  HostCosts host;
  double kernel_rate = 1.0;  // share of its isolated rate that a kernel reaches inside a training step
  double memory_rate = 1.0;  // of that, what the framework's own memory-bound kernels reach
};
struct FrameworkFit {
  std::string table;                   // stem of the table of runs
  std::vector<FittedValues> held_out;  // by fold; the fold of a run is fold_of(its id)
};
std::size_t fold_of(std::string_view id, std::size_t folds);

enum class StageSplit { kEven, kByCost };  // assign_stages or assign_stages_by_cost
enum class ScatterGather {
  kOff,
  kOn
};  // activations sent in tp slices and gathered by the receiver (arXiv 2104.04473, 4.1)

// What the framework's own logs mean by a rank's memory: all of the device, or what the allocator of a first-stage rank
// has reserved, counted in GiB.
enum class MeasuredMemory { kDevicePeak, kFirstStageAllocator };

struct FrameworkMemory {
  Bytes context{};             // CUDA context, libraries and communicator buffers of one process
  double fragmentation = 0.0;  // allocator overhead as a fraction of what is taken and given back within a step
  // Autograd hands out fresh gradients that are then added to the buffer, instead of GEMMs that add to it themselves.
  Presence autograd_gradients = Presence::kAbsent;
  // Data-parallel reduction works on copies of all gradients (DDP without gradient_as_bucket_view).
  Presence bucket_copies = Presence::kAbsent;
  // Tensor-parallel collectives whose buffers the allocator still holds back when the host has run ahead of the device.
  std::int64_t lagging_collectives = 0;
  std::int64_t loss_copies = 0;  // fp32 copies of the logits that the loss makes beside the softmax it keeps
  MeasuredMemory measured = MeasuredMemory::kDevicePeak;
};

struct FrameworkProfile {
  std::string name;
  std::string description;
  OperatorOptions operators;
  HostCosts host;
  double kernel_rate = 1.0;         // share of its isolated rate that a kernel reaches inside a training step
  double memory_rate = 1.0;         // of that, what its own memory-bound kernels reach: 1 where they move whole vectors
  double memory_rate_16_bit = 1.0;  // of that again, where tensors are of 16 bits
  // One multi-tensor kernel for each pass of the optimizer, or a kernel for every elementary operator of its formula.
  Fusion optimizer = Fusion::kOn;
  // The fused attention kernel it calls, as calibration profiles name it; empty, or one that was never measured on the
  // GPU: the GPU's default.
  std::string attention_kernel;
  GroupedKernel grouped_kernel = GroupedKernel::kManyStreams;
  std::vector<FrameworkFit> fits;
  PipelineExchange exchange = PipelineExchange::kBatchedSync;
  ScatterGather scatter_gather = ScatterGather::kOff;
  int activation_announcements = 0;  // of kAnnounced: small messages in front of an activation ...
  int gradient_announcements = 0;    // ... and of a gradient
  StageSplit stage_split = StageSplit::kEven;
  DataParallelOptions data_parallel;
  std::int64_t vocab_multiple = 128;  // vocabulary is padded to this times tp
  std::string nccl_version;           // of the framework's time; the tuner's tables differ
  FrameworkMemory memory;
  // What the framework does when the user does not say.
  SequenceParallel default_sequence_parallel = SequenceParallel::kOff;
  Recompute default_recompute = Recompute::kNone;
  Precision default_precision = Precision::kBf16;
  Precision default_grad_dtype = Precision::kFp32;
  int default_zero_stage = 0;
};

// Kernels as the framework's jobs run them, for hours on end.
inline KernelCostOptions kernel_options(const FrameworkProfile& framework) {
  return {.sustained = Sustained::kYes,
          .attention_kernel = framework.attention_kernel,
          .grouped_kernel = framework.grouped_kernel};
}

// A name of the catalogue, or the path of a user's file (framework_document.hpp).
FrameworkProfile load_framework(std::string_view name_or_path, std::string_view file = "--framework",
                                std::string_view pointer = "");
FrameworkProfile read_framework(const FrameworkDocument& source);
std::vector<std::string> framework_names();

// The profile as it would be had its fits not seen the run `id` of `table`.
FrameworkProfile without_run(FrameworkProfile profile, std::string_view table, std::string_view id);

}  // namespace trainyard
