#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sim/base/files.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/scenario/cluster_choice.hpp"
#include "topologies/topology_drawing.hpp"
#include "topologies/topology_report.hpp"

namespace trainyard {
namespace {

struct TopologyOptions {
  std::string name;  // the argument without a flag
  ClusterOption cluster;
  std::string import;
  std::string gpus;
  std::string path;
  std::string svg;
  std::string out;
  JsonOutput json;
};

// "3:12"
std::optional<std::pair<DeviceId, DeviceId>> parse_path(const std::string& text, int gpus) {
  if (text.empty()) {
    return std::nullopt;
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) {
    throw UserError(
        {.file = "--path", .found = text, .allowed = "two GPUs as 0:9", .problem = "this is no pair of GPUs"});
  }
  const auto device = [&](const std::string& part) { return DeviceId{whole_number("--path", part, 0, gpus - 1)}; };
  return std::pair{device(text.substr(0, colon)), device(text.substr(colon + 1))};
}

// `topology CLUSTER`, `topology --cluster CLUSTER [--like OTHER]`; with --import F the cluster named is what F is like.
ClusterSpec choose(const TopologyOptions& options) {
  ClusterOption chosen = options.cluster;
  const bool imports = !options.import.empty();
  const int given =
      (options.name.empty() ? 0 : 1) + (chosen.cluster.empty() ? 0 : 1) + (imports && !chosen.like.empty() ? 1 : 0);
  if (given != 1) {
    throw UserError({.file = "topology",
                     .found = given == 0 ? "no cluster" : "more than one cluster",
                     .allowed = imports
                                    ? "--import with one cluster, as argument or by --like: what the file leaves out"
                                    : "a cluster, as argument or by --cluster",
                     .problem = "say which cluster",
                     .remedy = "list clusters shows those of the catalogue"});
  }
  if (!options.name.empty()) {
    chosen.cluster = options.name;
  }
  if (imports) {
    chosen.like = chosen.like.empty() ? chosen.cluster : chosen.like;
    ClusterSpec imported =
        choose_cluster({.cluster = options.import, .like = chosen.like, .file = "--import", .imports = true});
    print_notes(imported);
    return imported;
  }
  return chosen.choose();
}

void show_topology(const TopologyOptions& options) {
  const ClusterSpec cluster = choose(options);
  const int gpus = options.gpus.empty() ? cluster.gpus_per_node : whole_number("--gpus", options.gpus, 1, kMostGpus);
  const auto path = parse_path(options.path, gpus);
  check_outputs({options.json.option(), {"--svg", options.svg}, {"--out", options.out}});
  require_report_effort(gpus);
  const Fabric fabric = build_fabric(cluster, gpus);
  const TopologyReport report = report_topology(cluster, fabric, path);
  if (!options.svg.empty()) {
    write_file(options.svg, draw_fabric(fabric));
  }
  if (!options.out.empty()) {
    write_file(options.out, cluster.document.dump(2) + "\n");
  }
  if (!options.json.to_stdout()) {
    print_text("{}", report.text);
  }
  options.json.write(report.json);
}

}  // namespace

void add_topology_verb(CLI::App& app) {
  auto options = std::make_shared<TopologyOptions>();
  CLI::App* verb = app.add_subcommand("topology", "a fabric: bisection, diameter, oversubscription, paths");
  verb->add_option("name", options->name, "catalogue name or cluster JSON");
  options->cluster.add_to(*verb);
  verb->add_option("--gpus", options->gpus, "number of GPUs (default: one node)");
  verb->add_option("--import", options->import,
                   "your node, from nvidia-smi topo -m or an NCCL topology dump; what it leaves out is the cluster's");
  verb->add_option("--out", options->out, "write the cluster as JSON, which every verb takes as --cluster");
  verb->add_option("--path", options->path, "two GPUs, as 0:9: the path between them");
  verb->add_option("--svg", options->svg, "draw the fabric");
  options->json.add_to(*verb);
  add_effort_option(*verb);
  verb->callback([options] { show_topology(*options); });
}

}  // namespace trainyard
