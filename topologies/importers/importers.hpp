#pragma once
// A user's own machine: `nvidia-smi topo -m` text or an NCCL topology XML dump becomes a cluster of such nodes.
#include <string>
#include <string_view>

#include "topologies/cluster.hpp"

namespace trainyard {

// What the two formats leave out (rates of a link, latencies, the GPU's name, the network between nodes) is taken from
// the cluster `like`. Both throw UserError naming `file` and the line that was not understood.
ClusterSpec import_nvidia_smi(std::string_view text, const std::string& file, const ClusterSpec& like);

// Refuses document type declarations (entities expand without end), more than 16 MiB and more than 32 levels.
ClusterSpec import_nccl_xml(std::string_view text, const std::string& file, const ClusterSpec& like);

// Chooses by the first character: XML starts with '<'.
ClusterSpec import_topology(std::string_view text, const std::string& file, const ClusterSpec& like);

}  // namespace trainyard
