#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gpu.hpp"
#include "models/load_model.hpp"
#include "models/model.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/collectives/algorithms/table.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/cluster.hpp"
#include "topologies/generators/network.hpp"
#include "topologies/generators/node_shape.hpp"

namespace trainyard {
namespace {

// One entry: its name, its facts as JSON, and the same as a line.
struct Entry {
  std::string name;
  Json facts;
  std::string line;
};
using Entries = std::vector<Entry>;

Entries list_models() {
  Entries out;
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    const double count = static_cast<double>(parameters(model));
    out.push_back(
        {name,
         {{"family", model.family},
          {"parameters", parameters(model)},
          {"layers", model.layers},
          {"hidden", model.hidden},
          {"heads", model.heads},
          {"kv_heads", model.kv_heads},
          {"ffn", model.ffn},
          {"vocab", model.vocab},
          {"seq_len", model.seq_len}},
         model.network
             ? fmt::format("{:<6} {:>9.3f} B parameters  {:>3} units   {} outputs", model.family, count / 1e9,
                           model.layers, model.vocab)
             : fmt::format("{:<6} {:>9.3f} B parameters  {:>3} layers  hidden {:>5}  {:>3} heads  {:>3} kv heads  ffn "
                           "{:>6}  vocabulary {:>6}  {:>6} tokens",
                           model.family, count / 1e9, model.layers, model.hidden, model.heads, model.kv_heads,
                           model.ffn, model.vocab, model.seq_len)});
  }
  return out;
}

Entries list_clusters() {
  Entries out;
  for (const std::string& name : cluster_names()) {
    const ClusterSpec cluster = load_cluster(name);
    const NodeTraits& node = cluster.node;
    const std::string description = JsonReader(cluster.document, name).at("description").text();
    const std::string gpus = fmt::format("{}", fmt::join(cluster.different_gpus(), " + "));
    out.push_back(
        {name,
         {{"gpu", gpus},
          {"gpus_per_node", cluster.gpus_per_node},
          {"scale_up", kScaleUpNames.name_of(node.scale_up)},
          {"nics_per_node", node.nics},
          {"nic_bytes_per_s", node.nic_bandwidth.value},
          {"description", description}},
         fmt::format("{:>3} x {:<12} {:<7} {:>2} NICs of {:>9}  {}", cluster.gpus_per_node, gpus,
                     kScaleUpNames.name_of(node.scale_up), node.nics, to_text(node.nic_bandwidth), description)});
  }
  return out;
}

Entries list_gpus() {
  Entries out;
  for (const std::string& name : gpu_names()) {
    const GpuSpec gpu = load_gpu(name);
    const FlopsPerSecond peak = gpu.peak_for(Precision::kBf16);
    out.push_back({name,
                   {{"vendor", gpu.vendor},
                    {"architecture", gpu.architecture},
                    {"memory_bytes", gpu.memory.value},
                    {"memory_bytes_per_s", gpu.memory_bandwidth.value},
                    {"bf16_flops_per_s", peak.value},
                    {"scale_up_bytes_per_s", gpu.scale_up_bandwidth.value},
                    {"power_watts", gpu.power_watts}},
                   fmt::format("{:<7} {:<10} {:>10} at {:>10}  bf16 {:>14}  scale-up {:>10}  {:>5.0f} W", gpu.vendor,
                               gpu.architecture, to_text(gpu.memory), to_text(gpu.memory_bandwidth), to_text(peak),
                               to_text(gpu.scale_up_bandwidth), gpu.power_watts)});
  }
  return out;
}

Entries list_frameworks() {
  Entries out;
  for (const std::string& name : framework_names()) {
    const std::string description = load_framework(name).description;
    out.push_back({name, {{"description", description}}, description});
  }
  return out;
}

Entry described(std::string_view name, std::string description) {
  return {std::string(name), {{"description", description}}, description};
}

Entries list_schedules() {
  Entries out;
  for (const auto& [name, schedule] : kScheduleNames.rows) {
    out.push_back(described(name, std::string(schedule_traits(schedule).description)));
  }
  return out;
}

Entries list_families() {
  Entries out;
  for (const std::string& name : model_families()) {
    out.push_back(described(name, "family of the catalogue's keys"));
  }
  for (const std::string& name : huggingface_model_types()) {
    out.push_back(described(name, "model_type of a Hugging Face config.json"));
  }
  return out;
}

Entries list_topologies() {
  Entries out;
  for (const NodeGenerator& generator : kNodeGenerators) {
    out.push_back(described(generator.name, std::string(generator.description)));
  }
  out.push_back(described("torus", "fabric: 1 to 4 dimensions of devices joined to their neighbours (TPU)"));
  out.push_back(described("fabric", "fabric: a list of nodes and links, routed by shortest paths"));
  for (const NetworkGenerator& generator : kNetworkGenerators) {
    out.push_back(described(generator.name, std::string(generator.description)));
  }
  return out;
}

Entries list_algorithms() {
  Entries out;
  for (const CollectiveAlgorithm* row : collective_algorithms()) {
    const char* forced = row->expand == nullptr ? "" : "; when forced";
    out.push_back(described(kAlgorithmNames.name_of(row->name), fmt::format("{}{}", row->description, forced)));
  }
  return out;
}

struct Kind {
  const char* name;
  const char* help;
  Entries (*list)();
};
constexpr std::array<Kind, 8> kKinds = {{{"models", "model catalogue", list_models},
                                         {"families", "families and model_types that a model may have", list_families},
                                         {"clusters", "cluster catalogue", list_clusters},
                                         {"gpus", "GPU catalogue", list_gpus},
                                         {"frameworks", "framework profiles", list_frameworks},
                                         {"schedules", "pipeline schedules", list_schedules},
                                         {"topologies", "generators of nodes and networks", list_topologies},
                                         {"algorithms", "collective algorithms", list_algorithms}}};

void show(const Kind& kind, const JsonOutput& output) {
  output.check();
  const Entries entries = kind.list();
  Json json = Json::array();
  std::size_t width = 0;
  for (const Entry& entry : entries) {
    width = std::max(width, entry.name.size());
    Json one = {{"name", entry.name}};
    one.update(entry.facts);
    json.push_back(std::move(one));
  }
  if (!output.to_stdout()) {
    for (const Entry& entry : entries) {
      print_text("{:<{}}  {}\n", entry.name, width, entry.line);
    }
  }
  output.write({{kind.name, std::move(json)}});
}

}  // namespace

void add_list_verb(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("list", "what the catalogues hold");
  verb->require_subcommand(1);
  for (const Kind& kind : kKinds) {
    auto output = std::make_shared<JsonOutput>();
    CLI::App* one = verb->add_subcommand(kind.name, kind.help);
    output->add_to(*one);
    one->callback([&kind, output] { show(kind, *output); });
  }
}

}  // namespace trainyard
