#pragma once
// The samples of a rank's micro-batches: made by its host's processors, copied to the device, and awaited by forward
// passes. In the steady state a step begins as it ends: with so many batches ready on the host and, where copies run
// ahead, the first one on the device. Each forward pass takes a batch, and one more is begun where there is room in the
// queue of `prefetch` batches. A step can follow itself whatever is in the queue when it begins. A full one would let
// nothing be made before a batch is taken, and an empty one let every pass wait, so it is half full: pass j waits for
// making number j - 1 - ceil(prefetch / 2), and making number j for the room that pass j - floor(prefetch / 2) gives.
// Without prefetch a batch is made when it is wanted.
//
// Source: PyTorch, torch/utils/data/dataloader.py (workers, prefetch_factor, pin_memory), and the prefetchers around
// it, as NVIDIA DeepLearningExamples PyTorch/Classification/ConvNets/image_classification/dataloaders.py
// (PrefetchedWrapper), that copy the next batch on a stream of its own.
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "sim/program/host_copies.hpp"
#include "sim/program/input_times.hpp"

namespace trainyard {

class InputPipeline {
 public:
  // Does nothing where the scenario has no input, or the stage reads no samples.
  InputPipeline(const HostCopies& copies, const Layout& layout);

  // Before anything else of the step.
  void begin_step();
  // Before the forward pass of a micro-batch through a chunk.
  void before_forward(std::int32_t chunk, std::int32_t micro_batch);

 private:
  const InputOptions& input() const { return *copies_.scenario.input; }
  // Batches that are ready when a step begins, and those for which the queue has room then.
  std::int64_t ready() const { return (input().prefetch + 1) / 2; }
  std::int64_t room() const { return input().prefetch / 2; }
  Bytes batch() const { return input().tensor * static_cast<double>(copies_.scenario.training.micro_batch); }
  // Begins the next batch once `after` is over.
  void make(std::span<const OperationId> after);
  // Makes a batch while everybody waits.
  void make_now();
  // What batch j of the step waits for, when it is not ready at the beginning.
  std::optional<OperationId> made(std::int64_t j) const;
  OperationId copy(std::vector<OperationId> after) const;
  void take_ahead();
  void take_now();

  HostCopies copies_;
  InputTimes times_;
  std::vector<char> reads_;          // by chunk
  std::set<std::int32_t> taken_;     // micro-batches whose samples are there: a stage may hold both ends of the model
  std::vector<OperationId> made_;    // in order, while there is anything to make
  std::optional<OperationId> next_;  // the copy that the next forward pass waits for
};

}  // namespace trainyard
