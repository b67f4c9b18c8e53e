#include "sim/updates/shards.hpp"

#include <algorithm>
#include <numeric>

#include "sim/base/random.hpp"

namespace trainyard {
namespace {

// The server of every layer, where layers stay whole.
std::vector<std::size_t> servers_by_size(const std::vector<PushedLayer>& layers, std::size_t servers) {
  std::vector<std::size_t> order(layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return layers[a].share > layers[b].share; });
  std::vector<double> loads(servers);
  std::vector<std::size_t> out(layers.size());
  for (const std::size_t layer : order) {
    const auto least = std::min_element(loads.begin(), loads.end());
    out[layer] = static_cast<std::size_t>(least - loads.begin());
    *least += layers[layer].share;
  }
  return out;
}

std::vector<std::size_t> servers_by_hash(const std::vector<PushedLayer>& layers, std::size_t servers) {
  std::vector<std::size_t> out;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    out.push_back(mix(layer) % servers);
  }
  return out;
}

}  // namespace

std::vector<std::vector<double>> shards_of(const UpdateJob& job) {
  const std::size_t servers = job.servers.size();
  const std::vector<PushedLayer> layers = job.layers.empty() ? std::vector<PushedLayer>{{.share = 1.0}} : job.layers;
  std::vector<std::vector<double>> out(servers, std::vector<double>(layers.size()));
  if (job.sharding == Sharding::kEven) {
    for (std::vector<double>& shard : out) {
      for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        shard[layer] = layers[layer].share / static_cast<double>(servers);
      }
    }
    return out;
  }
  const std::vector<std::size_t> server_of =
      job.sharding == Sharding::kBySize ? servers_by_size(layers, servers) : servers_by_hash(layers, servers);
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    out[server_of[layer]][layer] = layers[layer].share;
  }
  return out;
}

double largest_shard(const UpdateJob& job) {
  double largest = 0.0;
  for (const std::vector<double>& shard : shards_of(job)) {
    largest = std::max(largest, std::accumulate(shard.begin(), shard.end(), 0.0));
  }
  return largest;
}

}  // namespace trainyard
