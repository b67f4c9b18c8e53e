#pragma once
// Where the samples of a step come from: "input" of a scenario. Without the key they are on the device when they are
// wanted.
#include <cstdint>
#include <optional>

#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

enum class StorageKind { kMemory, kLocal, kNfs, kObject };
inline constexpr NameTable<StorageKind, 4> kStorageKindNames{{{{"memory", StorageKind::kMemory},
                                                               {"local", StorageKind::kLocal},
                                                               {"nfs", StorageKind::kNfs},
                                                               {"object", StorageKind::kObject}}}};

// What samples are read from. Every sample is a request.
struct StorageOptions {
  StorageKind kind = StorageKind::kLocal;
  std::optional<BytesPerSecond> node_bandwidth;  // of the GPUs of a node together; none: no limit
  std::optional<BytesPerSecond> bandwidth;       // of all GPUs together; none: no limit
  Seconds latency{};                             // from a request to its first byte
  std::int64_t requests = 1;                     // that a GPU has under way
};

// Whether batches are copied to the device ahead of their use, or when they are used, while the host waits.
enum class InputCopies { kAhead, kBlocking };

struct InputOptions {
  Bytes sample{};  // of one sample on the storage
  Bytes tensor{};  // and of what is copied to the device
  StorageOptions storage;
  Seconds decode{};               // of one core for one sample, augmentation and collation included
  std::int64_t cores = 0;         // of a node; 0: nobody says
  std::int64_t workers = 1;       // of one GPU; each has a core
  std::int64_t most_workers = 0;  // of one GPU, that the cores allow; 0: nobody says
  std::int64_t prefetch = 0;      // batches (of a micro-batch each) that are kept ready in the host's memory
  InputCopies copies = InputCopies::kAhead;

  // Whether a batch is on the device before the one in front of it is done with.
  bool copies_ahead() const { return copies == InputCopies::kAhead && prefetch > 0; }
};

}  // namespace trainyard
