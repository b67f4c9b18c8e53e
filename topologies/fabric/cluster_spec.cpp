#include "topologies/fabric/cluster_spec.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace trainyard {

const ClusterSpec& ClusterSpec::kind_of_node(int node_number) const {
  if (kinds.empty()) {
    return *this;
  }
  std::size_t kind = 0;
  for (; kind + 1 < kinds.size() && node_number >= kinds[kind].nodes_of_kind; ++kind) {
    node_number -= kinds[kind].nodes_of_kind;
  }
  return kinds[kind];
}

std::vector<std::string> ClusterSpec::different_gpus() const {
  std::vector<std::string> names = {gpu};
  for (const ClusterSpec& kind : kinds) {
    if (std::find(names.begin(), names.end(), kind.gpu) == names.end()) {
      names.push_back(kind.gpu);
    }
  }
  return names;
}

}  // namespace trainyard
