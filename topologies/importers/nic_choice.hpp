#pragma once
// Which NICs of a machine collectives use: management ports, storage NICs and virtual functions are left out.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

// How far a NIC is from a GPU, as NCCL and nvidia-smi rank it.
enum class Affinity { kOneBridge, kBridges, kHostBridge, kNode, kSystem };

struct NicCandidates {
  std::vector<std::string> names;
  std::vector<std::optional<BytesPerSecond>> rates;  // of each, where the file says it
  std::vector<std::vector<Affinity>> affinity;       // [gpu][nic]
  std::vector<std::vector<char>> one_card;           // [nic][nic]: at most one bridge lies between them
  double like_per_gpu = 1.0;                         // NICs for each GPU of the cluster `like`; 0: it has none
  BytesPerSecond slot{};                             // what a NIC's slot carries
  BytesPerSecond between_sockets{};
};

// Indices of candidates that act as one NIC: ports of a card, or functions of a port.
using NicGroup = std::vector<std::size_t>;

// As NCCL does (2.30 src/graph/topo.cc, ncclTopoGetLocal): a GPU takes the NICs of the widest path, among equals the
// nearest. NICs that no GPU takes are left out. A GPU uses one NIC, so that more NICs than GPUs at one switch become
// groups. Appends to `notes` what was left out and why.
std::vector<NicGroup> choose_nics(const NicCandidates& candidates, std::vector<std::string>& notes);

}  // namespace trainyard
