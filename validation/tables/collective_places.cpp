#include "validation/tables/collective_places.hpp"

#include <fmt/format.h>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

struct Shape {
  int per_node = 0;  // ranks on one of the row's nodes
  int slots = 0;     // GPUs of such a node
  int sharing = 1;   // how many of them are in one node of the cluster
};

Shape shape_of(const CollectiveMeasurement& row, const ClusterSpec& cluster) {
  Shape out{.per_node = (row.ranks + row.nodes - 1) / row.nodes, .slots = cluster.gpus_per_node};
  const JsonReader json = cluster.reader();
  if (const auto host = json.find("gpus_per_host")) {
    const int gpus = static_cast<int>(host->integer(1, cluster.gpus_per_node));
    if (out.per_node <= gpus && row.gpus_per_node <= gpus) {
      out.slots = gpus;
      out.sharing = cluster.gpus_per_node / gpus;
    }
  }
  return out;
}

std::int64_t gpus_for(const CollectiveMeasurement& row, const ClusterSpec& cluster, const Shape& shape) {
  if (row.nodes == 1) {
    return row.ranks;
  }
  const std::int64_t domains = (row.nodes + shape.sharing - 1) / shape.sharing;
  return domains == 1 ? std::int64_t{row.nodes} * shape.slots : domains * cluster.gpus_per_node;
}

}  // namespace

std::string why_no_place(const CollectiveMeasurement& row, const ClusterSpec& cluster) {
  if (row.ranks < 2) {
    return fmt::format("{} rank: a collective needs two", row.ranks);
  }
  if (row.nodes < 1 || row.nodes > row.ranks) {
    return fmt::format("{} ranks cannot sit on {} nodes", row.ranks, row.nodes);
  }
  const Shape shape = shape_of(row, cluster);
  if (row.gpus_per_node > shape.slots) {
    return fmt::format("nodes of {} GPUs, but those of {} have {}", row.gpus_per_node, cluster.name, shape.slots);
  }
  if (shape.per_node > shape.slots) {
    return fmt::format("{} ranks on {} nodes, but a node of {} has {} GPUs", row.ranks, row.nodes, cluster.name,
                       shape.slots);
  }
  const JsonReader json = cluster.reader();
  const std::int64_t most = json.has("largest") ? json.at("largest").integer(1, kMostInCluster) : kMostInCluster;
  if (gpus_for(row, cluster, shape) > most) {
    return fmt::format("{} ranks on {} nodes, but {} has at most {} GPUs", row.ranks, row.nodes, cluster.name, most);
  }
  return {};
}

CollectivePlaces places_of(const CollectiveMeasurement& row, const ClusterSpec& cluster) {
  TY_ASSERT(why_no_place(row, cluster).empty());
  const Shape shape = shape_of(row, cluster);
  CollectivePlaces out{.gpus = static_cast<int>(gpus_for(row, cluster, shape))};
  for (int rank = 0; rank < row.ranks; ++rank) {
    const int node = rank / shape.per_node;
    out.members.push_back(
        {node / shape.sharing * cluster.gpus_per_node + node % shape.sharing * shape.slots + rank % shape.per_node});
  }
  return out;
}

}  // namespace trainyard
