#pragma once
// What an import takes from the cluster `like`: rates, latencies, and what stands in the node.
#include <optional>
#include <string>
#include <vector>

#include "topologies/generators/node_shape.hpp"
#include "topologies/importers/importers.hpp"

namespace trainyard {

struct LinkRate {
  BytesPerSecond nominal{};
  double efficiency = 1.0;  // share of the nominal rate that payload can use
  Seconds latency{};
};

struct LikeRates {
  LinkRate scale_up;  // of one link between GPUs
  LinkRate pcie;      // of a slot
  LinkRate sockets;
  std::optional<LinkRate> chip_to_chip;  // between a GPU and its socket
  int most_links = 0;                    // that a GPU has to other GPUs
  std::vector<int> usual_links;          // of the GPUs of its generation
  std::string scale_up_from;             // whose links they are, for people
};

// The node of `like` as its generator makes it. Throws UserError where `like` is no cluster of nodes.
struct LikeNode {
  Json document;  // the node's entry
  NodeShape shape;
  int sockets = 1;
};
LikeNode node_of(const ClusterSpec& like, const std::string& file);

// `compute_capability` is what the file says of its GPUs, 0 when it says nothing. Appends to `notes` what was assumed.
LikeRates rates_of(const ImportBasis& basis, const LikeNode& node, int compute_capability,
                   std::vector<std::string>& notes);

}  // namespace trainyard
