#pragma once
// What a collective library knows about hardware (sim/collectives/profiles) and of itself (sim/collectives/nccl).
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/collective_algorithm.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// One value per protocol.
using ByProtocol = std::array<double, 3>;
using LatencyTable = std::array<ByProtocol, kTunedAlgorithms>;  // microseconds
// One value for one node, two nodes and more nodes.
using ByNodes = std::array<double, 3>;

struct ArchitectureRates {  // GB/s, as the tuner counts them
  ByNodes ll_max{};         // on one node by GPU architecture, otherwise by processor
  double ring_ll128 = 0.0;  // per channel
  ByNodes tree_ll128{};
  ByNodes tree{};
  ByNodes nvls_tree{};
  double nvls_efficiency = 0.0;  // 0: the hardware has no NVLS
};

// Constants of one NCCL version.
struct NcclVersion {
  std::string name;
  LatencyTable base{};
  LatencyTable nvlink_hop{};
  LatencyTable pci_hop{};
  LatencyTable net_hop{};
  double ring_ll_share = 0.5;
  bool nvls_gathers = false;  // NVLS also for all-gather and reduce-scatter
  bool has_pat = false;
  double pat_share = 0.75;
  // On two nodes trees are expected to run at the rate of their links inside a node. Older versions searched graphs of
  // one rate.
  bool two_node_trees_inside = true;
  ByNodes amd_ll_max{};  // LL's limit between nodes, by processor
  ByNodes other_ll_max{};
  std::map<std::string, ArchitectureRates> architectures;
};

// Rates of send/recv, for which NCCL has no tuner model.
struct PointToPoint {
  Seconds latency{};             // of a round inside a node
  Seconds network_latency{};     // more when the network is used
  BytesPerSecond device_rate{};  // all peers together, inside a node
  BytesPerSecond pair_rate{};
  BytesPerSecond channel_rate{};  // of one channel between two GPUs of a node
  int channels = 32;              // of the communicator, shared by its peers
  double network_share = 1.0;     // of the NIC's payload rate
};

struct CollectiveProfile {
  std::string name;
  std::string architecture;
  int compute_capability = 0;
  std::string nccl;                  // version that is assumed when none is asked for
  double link_rate = 0.0;            // GB/s of one NVLink as NCCL counts it
  std::vector<double> intra_speeds;  // per channel, descending
  std::vector<double> inter_speeds;
  std::array<int, 2> nvls_channels{};  // one node, more nodes; 0 without NVLS
  PointToPoint p2p;
};

// Files are read once per process and kept. Throws UserError for names that the catalogue does not have.
const CollectiveProfile& collective_profile(std::string_view name, std::string_view file, std::string_view pointer);
const NcclVersion& nccl_version(std::string_view name, std::string_view file, std::string_view pointer);
std::vector<std::string> nccl_version_names();

}  // namespace trainyard
