#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sim/base/files.hpp"
#include "sim/cli/verbs.hpp"
#include "topologies/cluster.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/topology_drawing.hpp"
#include "topologies/topology_report.hpp"

namespace trainyard {
namespace {

constexpr int kMostGpus = 1'000'000;

struct TopologyOptions {
  std::string cluster;
  std::string gpus;
  std::string import;
  std::string path;
  std::string svg;
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

void show_topology(const TopologyOptions& options) {
  ClusterSpec cluster = load_cluster(options.cluster, "command line", "CLUSTER");
  if (!options.import.empty()) {
    cluster = import_topology(read_file(options.import), options.import, cluster);
  }
  const int gpus = options.gpus.empty() ? cluster.gpus_per_node : whole_number("--gpus", options.gpus, 1, kMostGpus);
  const auto path = parse_path(options.path, gpus);
  check_outputs({options.json.option(), {"--svg", options.svg}});
  require_report_effort(gpus);
  const Fabric fabric = build_fabric(cluster, gpus);
  const TopologyReport report = report_topology(cluster, fabric, path);
  if (!options.svg.empty()) {
    write_file(options.svg, draw_fabric(fabric));
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
  verb->add_option("cluster", options->cluster, "catalogue name or cluster JSON")->required();
  verb->add_option("--gpus", options->gpus, "number of GPUs (default: one node)");
  verb->add_option("--import", options->import,
                   "your node, from nvidia-smi topo -m or an NCCL topology dump; what it leaves out is the cluster's");
  verb->add_option("--path", options->path, "two GPUs, as 0:9: the path between them");
  verb->add_option("--svg", options->svg, "draw the fabric");
  options->json.add_to(*verb);
  add_effort_option(*verb);
  verb->callback([options] { show_topology(*options); });
}

}  // namespace trainyard
