#pragma once
// What a collective library knows about hardware (sim/collectives/profiles) and of itself (sim/collectives/nccl).
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

enum class Algorithm { kRing, kTree, kCollNetDirect, kCollNetChain, kNvls, kNvlsTree, kPat };
inline constexpr std::size_t kAlgorithms = 7;
inline constexpr NameTable<Algorithm, kAlgorithms> kAlgorithmNames{{{{"ring", Algorithm::kRing},
                                                                     {"tree", Algorithm::kTree},
                                                                     {"collnet_direct", Algorithm::kCollNetDirect},
                                                                     {"collnet_chain", Algorithm::kCollNetChain},
                                                                     {"nvls", Algorithm::kNvls},
                                                                     {"nvls_tree", Algorithm::kNvlsTree},
                                                                     {"pat", Algorithm::kPat}}}};
// What each is, in the order of the names.
inline constexpr std::array<std::string_view, kAlgorithms> kAlgorithmDescriptions{
    "n - 1 steps round a cycle of all members; every operation",
    "double binary tree over nodes, a chain inside them; all-reduce",
    "switches of the network reduce (SHARP), every member sends its share to a head; up to eight GPUs a node",
    "switches of the network reduce (SHARP), a chain inside the nodes; all-reduce",
    "the node's NVSwitch reduces and multicasts (NVLink SHARP); beyond a node with a reducing network",
    "NVLS inside the nodes, trees over the rails between them; all-reduce",
    "parallel aggregated trees: log2 n rounds for one GPU a node; all-gather and reduce-scatter"};
enum class Protocol { kLl, kLl128, kSimple };
inline constexpr NameTable<Protocol, 3> kProtocolNames{
    {{{"LL", Protocol::kLl}, {"LL128", Protocol::kLl128}, {"Simple", Protocol::kSimple}}}};

// One value per protocol.
using ByProtocol = std::array<double, 3>;
using LatencyTable = std::array<ByProtocol, kAlgorithms>;  // microseconds
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
