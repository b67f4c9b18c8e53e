#pragma once
// A user's own machine: `nvidia-smi topo -m` text or an NCCL topology XML file becomes a cluster of such nodes.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topologies/cluster.hpp"

namespace trainyard {

// What the importers know of a GPU: topologies do not read the GPU catalogue, the caller does.
struct GpuLinks {
  std::string name;
  std::string vendor;          // nvidia, amd, ...
  int compute_capability = 0;  // 90; 0 where the notion does not exist
  int links = 0;               // to other GPUs; 0: it has none
  BytesPerSecond bandwidth{};  // of one link and direction, nominal
};

// What a file leaves out comes from here.
struct ImportBasis {
  ClusterSpec like;             // GPU, network between nodes, NICs, latencies, shares of nominal rates
  GpuLinks gpu;                 // of `like`
  std::vector<GpuLinks> known;  // of the catalogue: a file may name another generation
  // A cluster whose links between GPUs stand in for those of `like`, which has none.
  std::optional<ClusterSpec> linked;
};

// The cluster's document is that of an explicit node; its "notes" say what was left out or assumed, and why. All throw
//  UserError naming `file` and the line that was not understood.
ClusterSpec import_nvidia_smi(std::string_view text, const std::string& file, const ImportBasis& basis);

// Reads NCCL_TOPO_DUMP_FILE's dumps, and the shorter files that NCCL_TOPO_FILE takes. Refuses document type
// declarations (entities expand without end), more than 16 MiB and more than 32 levels.
ClusterSpec import_nccl_xml(std::string_view text, const std::string& file, const ImportBasis& basis);

// Chooses by the first character: XML starts with '<'. Refuses UTF-16 and bytes of zero, behind which XML is not read.
ClusterSpec import_topology(std::string_view text, const std::string& file, const ImportBasis& basis);

}  // namespace trainyard
