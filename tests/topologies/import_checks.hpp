#pragma once
// What importers need beside a file, and the small files that they are tried with.
#include <algorithm>
#include <map>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "topologies/importers/importers.hpp"

namespace trainyard::checks {

// As the GPU catalogue has them; this room does not read it.
inline ImportBasis like(const std::string& name) {
  static const std::map<std::string, GpuLinks> kGpus = {{"v100-32", {"v100-32", "nvidia", 70, 6, {25e9}}},
                                                        {"a100-80", {"a100-80", "nvidia", 80, 12, {25e9}}},
                                                        {"a100-40", {"a100-40", "nvidia", 80, 12, {25e9}}},
                                                        {"a100-pcie-80", {"a100-pcie-80", "nvidia", 80, 12, {25e9}}},
                                                        {"h100-sxm", {"h100-sxm", "nvidia", 90, 18, {25e9}}},
                                                        {"h800", {"h800", "nvidia", 90, 8, {25e9}}},
                                                        {"gb200", {"gb200", "nvidia", 100, 18, {50e9}}},
                                                        {"mi300x", {"mi300x", "amd", 0, 7, {64e9}}}};
  ImportBasis basis{.like = load_cluster(name)};
  basis.gpu = kGpus.at(basis.like.gpu);
  for (const auto& [gpu, links] : kGpus) {
    basis.known.push_back(links);
  }
  if (basis.like.node.scale_up_links == 0) {
    basis.linked = load_cluster("dgx-a100");
  }
  return basis;
}

inline std::string import_file(const std::string& name) {
  return read_file(std::string(TRAINYARD_SOURCE_DIR) + "/tests/topologies/imports/" + name);
}

inline ClusterSpec imported(const std::string& name, const std::string& cluster) {
  return import_topology(import_file(name), name, like(cluster));
}

inline Fault fault_of(std::string_view text, const std::string& cluster = "dgx-a100") {
  try {
    import_topology(text, "mine", like(cluster));
  } catch (const UserError& error) {
    return error.fault();
  }
  return {};
}

inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  out.replace(out.find(from), from.size(), to);
  return out;
}

inline std::string notes_of(const ClusterSpec& cluster) {
  std::string out;
  for (const Json& note : cluster.document["notes"]) {
    out += note.get<std::string>() + "\n";
  }
  return out;
}

inline int count_of(const Fabric& fabric, VertexKind kind) {
  int count = 0;
  for (const Vertex& vertex : fabric.vertices()) {
    count += vertex.kind == kind ? 1 : 0;
  }
  return count;
}

// The narrowest link between two GPUs, bytes per second, and whether NVLinks carry all of it.
struct Path {
  double narrowest = 1e18;
  bool nvlink = true;
};
inline Path path_of(const Fabric& fabric, int a, int b) {
  Path out;
  for (const LinkId id : fabric.route({a}, {b})) {
    out.narrowest = std::min(out.narrowest, fabric.link(id).bandwidth.value);
    out.nvlink = out.nvlink && fabric.link(id).kind == LinkKind::kNvLink;
  }
  return out;
}

}  // namespace trainyard::checks
