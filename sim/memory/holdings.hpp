#pragma once
// Memory of one device of each pipeline stage, by use: what a stage holds for the whole step, and what passes through
// it take and give back. The meter adds it up while the passes run in some order.
#include <optional>
#include <vector>

#include "sim/layout/layout.hpp"
#include "sim/memory/memory_uses.hpp"

namespace trainyard {

// What one pass of a chunk holds.
struct ChunkHoldings {
  Bytes activations{};  // of layers and embedding, from the pass's forward to the end of its backward
  Bytes on_host{};      // of the layers whose activations the host holds meanwhile
  Bytes logits{};       // likewise
  Bytes recompute{};    // while its backward runs
  Bytes for_weights{};  // between the two halves of a split backward: what the gradients of the weights need
};

struct StageHoldings {
  MemoryUses resident;  // for the whole step
  // All that is held while the optimizer updates and no pass is under way, where it holds more than `resident` says:
  // gradients that it copies, its temporaries.
  std::optional<MemoryUses> update;
  MemoryUses on_host;  // likewise, in the memory of the host
  std::vector<ChunkHoldings> chunks;
  // Gradients that autograd hands out beside the buffer they are accumulated into: all there at the end of a backward
  // pass, then given back.
  Bytes autograd_gradients{};
  // Buffers of tensor-parallel collectives that the allocator cannot reuse while the device lags behind the host, for
  // every pass that the host is ahead; a buffer used on another stream is given back when that stream has passed it.
  // Source: torch.Tensor.record_stream; c10/cuda/CUDACachingAllocator.cpp, process_events.
  Bytes lagging_buffers_per_pass{};
  Bytes most_lagging_buffers{};
  double fragmentation = 0.0;  // lost to the allocator, as a fraction of what is taken and given back
};

// Sources: model states (Megatron dist_optimizer.md, ZeRO arXiv 1910.02054), activations (arXiv 2205.05198).
StageHoldings stage_holdings(const Scenario& scenario, const Layout& layout, std::size_t stage);
// Its parts, for callers that look at many layouts: what does not depend on micro-batch and recomputation but for the
// buffers of collectives, and what one pass of a chunk holds (of the fullest rank where experts get unequal numbers of
// tokens), which depends on the chunk's layers alone.
StageHoldings holdings_beside_chunks(const Scenario& scenario, const Layout& layout, std::size_t stage);
ChunkHoldings chunk_holdings(const Scenario& scenario, const Layout& layout, const Chunk& chunk);

}  // namespace trainyard
