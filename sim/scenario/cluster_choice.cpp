#include "sim/scenario/cluster_choice.hpp"

#include <algorithm>
#include <filesystem>

#include "kernels/gpu.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/text_start.hpp"
#include "topologies/importers/importers.hpp"

namespace trainyard {
namespace {

GpuLinks links_of(const GpuSpec& gpu) {
  return {.name = gpu.name,
          .vendor = gpu.vendor,
          .compute_capability = gpu.compute_capability,
          .links = gpu.scale_up_links,
          .bandwidth = gpu.scale_up_links > 0 ? gpu.scale_up_bandwidth / gpu.scale_up_links : BytesPerSecond{}};
}

// The first cluster of the catalogue whose GPUs are of the same architecture and joined by links of their own.
std::optional<ClusterSpec> cluster_with_links_of(const GpuSpec& gpu) {
  for (const std::string& name : cluster_names()) {
    ClusterSpec cluster = load_cluster(name);
    const bool joined = cluster.node.scale_up == ScaleUp::kSwitch || cluster.node.scale_up == ScaleUp::kMesh;
    if (joined && cluster.kinds.empty() &&
        load_gpu(cluster.gpu, cluster.file, cluster.pointer + "/gpu").architecture == gpu.architecture) {
      return cluster;
    }
  }
  return std::nullopt;
}

ImportBasis basis_of(const ClusterChoice& choice) {
  ImportBasis basis{.like = load_cluster(choice.like, "--like")};
  const GpuSpec gpu = choice.gpu.empty() ? load_gpu(basis.like.gpu, basis.like.file, basis.like.pointer + "/gpu")
                                         : load_gpu(choice.gpu);
  basis.like.document["gpu"] = gpu.name;
  basis.gpu = links_of(gpu);
  for (const std::string& name : gpu_names()) {
    basis.known.push_back(links_of(load_gpu(name)));
  }
  if (basis.like.node.scale_up_links == 0) {
    basis.linked = cluster_with_links_of(gpu);
  }
  return basis;
}

// It has a folder or an extension, which no catalogue name has.
bool looks_like_path(std::string_view text) {
  return text.find_first_of("/.") != std::string_view::npos;
}

// What is neither JSON nor a catalogue name is a topology.
bool is_json(std::string_view text) {
  const char first = first_character(text);
  return first == '\0' || first == '{';
}

[[noreturn]] void fail_like(const ClusterChoice& choice, std::string problem, std::string remedy) {
  throw UserError({.file = choice.file,
                   .pointer = choice.pointer,
                   .found = choice.cluster,
                   .allowed = "a topology with --like CLUSTER, or a cluster without",
                   .problem = std::move(problem),
                   .remedy = std::move(remedy)});
}

// With --like or --import a topology is asked for; this is none.
[[noreturn]] void fail_no_topology(const ClusterChoice& choice, bool is_file, std::string_view text) {
  const std::string allowed = "the text of nvidia-smi topo -m, or an NCCL topology file";
  if (is_file && text.find('{') == std::string_view::npos) {
    throw UserError({.file = choice.cluster,
                     .found = text.empty() ? "an empty file" : "a file of nothing but blanks",
                     .allowed = allowed,
                     .problem = "the file holds no topology",
                     .remedy = "write it with nvidia-smi topo -m, or with NCCL_TOPO_DUMP_FILE"});
  }
  if (choice.imports) {
    throw UserError({.file = is_file ? choice.cluster : choice.file,
                     .found = is_file ? "a JSON document" : choice.cluster,
                     .allowed = allowed,
                     .problem = is_file ? "the file holds no topology" : "there is no such file",
                     .remedy = "name the file of a topology; a cluster is named by --cluster, without --import"});
  }
  if (is_file) {
    const Json document = parse_json(text, choice.cluster);
    read_cluster(JsonReader(document, choice.cluster), choice.cluster);  // what is no cluster either is the first fault
  } else {
    load_cluster(choice.cluster, choice.file, choice.pointer);
  }
  fail_like(choice, "a cluster that is described in full takes nothing from another", "leave out --like");
}

}  // namespace

ClusterSpec choose_cluster(const ClusterChoice& choice) {
  const bool is_file =
      looks_like_path(choice.cluster) || (!choice.like.empty() && std::filesystem::exists(choice.cluster) &&
                                          !std::filesystem::is_directory(choice.cluster));
  const std::string text = is_file ? read_file(choice.cluster) : std::string();
  if (!is_file || is_json(text)) {
    if (!choice.like.empty()) {
      fail_no_topology(choice, is_file, text);
    }
    if (!is_file) {
      return load_cluster(choice.cluster, choice.file, choice.pointer);
    }
    const Json document = parse_json(text, choice.cluster);
    return read_cluster(JsonReader(document, choice.cluster), std::filesystem::path(choice.cluster).stem().string());
  }
  if (choice.like.empty()) {
    fail_like(choice, "this file is no cluster JSON; a topology says neither the GPU nor the network between nodes",
              "add --like with the catalogue cluster that is most like yours (list clusters)");
  }
  return import_topology(text, choice.cluster, basis_of(choice));
}

}  // namespace trainyard
