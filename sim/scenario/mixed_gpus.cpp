#include "sim/scenario/mixed_gpus.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/calibration.hpp"
#include "sim/base/quantity_text.hpp"

namespace trainyard {

void settle_gpus(Scenario& scenario, const std::optional<JsonReader>& gpu) {
  const ClusterSpec& cluster = scenario.cluster;
  scenario.gpu = gpu ? load_gpu(gpu->text(), gpu->file(), gpu->pointer())
                     : load_gpu(cluster.gpu, cluster.file, cluster.pointer + "/gpu");
  if (gpu || cluster.different_gpus().size() == 1) {
    return;
  }
  int number = 0;
  for (const NodeInUse& node : nodes_in_use(cluster, static_cast<int>(scenario.gpus))) {
    const std::string& name = cluster.kind_of_node(number++).gpu;
    const auto known = std::find_if(scenario.gpu_kinds.begin(), scenario.gpu_kinds.end(),
                                    [&name](const GpuSpec& one) { return one.name == name; });
    const auto kind = static_cast<std::int32_t>(known - scenario.gpu_kinds.begin());
    if (known == scenario.gpu_kinds.end()) {
      scenario.gpu_kinds.push_back(
          load_gpu(name, cluster.file, fmt::format("{}/node_groups/{}/gpu", cluster.pointer, node.kind)));
    }
    scenario.gpu_kind_of.insert(scenario.gpu_kind_of.end(), static_cast<std::size_t>(node.gpus), kind);
  }
  // A job that ends before the second kind begins.
  if (scenario.gpu_kinds.size() == 1) {
    scenario.gpu_kinds.clear();
    scenario.gpu_kind_of.clear();
  }
}

std::vector<std::string> gpu_notes(const Scenario& scenario) {
  std::vector<std::string> notes;
  for (const GpuSpec& gpu : scenario.different_gpus()) {
    if (!is_measured(gpu)) {
      notes.push_back(
          fmt::format("no kernel of {} was measured: it is priced by its own peaks and rates with the "
                      "efficiencies of {}, and no band holds for it",
                      gpu.name, kMostMeasured));
    }
  }
  const ClusterSpec& cluster = scenario.cluster;
  if (scenario.gpu.name != cluster.gpu && scenario.gpu_kinds.empty() && cluster.kinds.empty()) {
    const GpuSpec replaced = load_gpu(cluster.gpu);
    if (replaced.scale_up_bandwidth != scenario.gpu.scale_up_bandwidth) {
      notes.push_back(fmt::format("{} joins its GPUs at {}, as {} are; {} has {}: the cluster's links are kept",
                                  cluster.name, to_text(replaced.scale_up_bandwidth), replaced.name, scenario.gpu.name,
                                  to_text(scenario.gpu.scale_up_bandwidth)));
    }
  }
  return notes;
}

std::string gpus_text(const Scenario& scenario) {
  if (scenario.gpu_kinds.empty()) {
    return fmt::format("{} x {}", scenario.gpus, scenario.gpu.name);
  }
  std::string out;
  for (std::size_t kind = 0; kind < scenario.gpu_kinds.size(); ++kind) {
    const auto count =
        std::count(scenario.gpu_kind_of.begin(), scenario.gpu_kind_of.end(), static_cast<std::int32_t>(kind));
    out += fmt::format("{}{} x {}", out.empty() ? "" : " + ", count, scenario.gpu_kinds[kind].name);
  }
  return out;
}

}  // namespace trainyard
