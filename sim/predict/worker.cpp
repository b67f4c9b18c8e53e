// When the gradients of a model's layers are made, in an iteration of one GPU; the network that it stands before.
#include "sim/predict/worker.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <variant>

#include "sim/predict/predict.hpp"
#include "sim/program/stage_work.hpp"

namespace trainyard {
namespace {

Seconds time_of(const PricedPass& pass) {
  Seconds out{};
  for (const PricedStep& step : pass) {
    if (const auto* run = std::get_if<PricedRun>(&step)) {
      out += run->run.critical;
    }
  }
  return out;
}

struct TimedLayer {
  double parameters = 0.0;
  Seconds backward{};
};

double trained_values(const ParameterUnit& unit) {
  return static_cast<double>(unit.share.trainable());
}

}  // namespace

Nic nic_of(const ClusterSpec& cluster) {
  const Fabric fabric = build_fabric(cluster, 2 * cluster.gpus_per_node);
  Nic out{.bandwidth = {std::numeric_limits<double>::infinity()}};
  for (const LinkId link : fabric.route(DeviceId{0}, DeviceId{cluster.gpus_per_node})) {
    out.bandwidth = min(out.bandwidth, fabric.link(link).bandwidth);
    out.latency += fabric.link(link).latency;
  }
  const double users = static_cast<double>(cluster.gpus_per_node) / std::max(1, cluster.node.nics);
  out.bandwidth /= std::max(1.0, users);
  return out;
}

Bytes pushed_bytes(const ModelSpec& model) {
  constexpr double kGradientBytes = 4.0;  // fp32, as parameter servers keep it
  return {kGradientBytes * static_cast<double>(trainable_parameters(model))};
}

std::vector<PushedLayer> worker_layers(const Scenario& scenario, const Layout& layout) {
  const ScenarioKernelCosts costs(scenario);
  const PricedModel priced = price_model(scenario, layout.shard, *costs.by_kind().front());
  // In the order of the forward pass, each with its backward pass; and all passes forward together.
  std::vector<TimedLayer> timed;
  Seconds forward{};
  std::int64_t layer = 0;
  for (const ParameterUnit& unit : layout.units.front()) {
    const PricedPass* pass = &priced.embedding_forward;
    const PricedBackward* backward = &priced.embedding_backward;
    if (unit.kind == UnitKind::kHead) {
      pass = &priced.head_forward;
      backward = &priced.head_backward;
    } else if (unit.kind == UnitKind::kLayer) {
      const PricedLayer& of_kind = priced.layers.at(layer_kind(scenario.model, layer++));
      pass = &of_kind.forward;
      backward = &of_kind.backward;
    }
    forward += time_of(*pass);
    timed.push_back({trained_values(unit), time_of(backward->whole)});
  }
  std::reverse(timed.begin(), timed.end());
  // Gradients of several micro-batches are summed: they are there in the last one's backward pass.
  const Seconds backward = std::accumulate(timed.begin(), timed.end(), Seconds{},
                                           [](Seconds sum, const TimedLayer& one) { return sum + one.backward; });
  const Seconds all = (forward + backward) * static_cast<double>(scenario.micro_batches());
  const double parameters = std::accumulate(timed.begin(), timed.end(), 0.0,
                                            [](double sum, const TimedLayer& one) { return sum + one.parameters; });
  std::vector<PushedLayer> out;
  Seconds left = backward;
  for (const TimedLayer& one : timed) {
    left -= one.backward;
    if (one.parameters > 0.0) {
      out.push_back({.share = one.parameters / parameters, .ready = std::clamp(1.0 - left / all, 0.0, 1.0)});
    }
  }
  out.back().ready = 1.0;  // whatever rounding left
  return out;
}

}  // namespace trainyard
