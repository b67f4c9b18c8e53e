#include "sim/updates/data_sizes.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/random.hpp"

namespace trainyard {
namespace {

constexpr std::uint64_t kDataKey = 0x64617461;  // apart from what else is drawn of a client

double draw_size(DataSizes sizes, const Draw& drawn) {
  switch (sizes) {
    case DataSizes::kUniform:
      return 2.0 * drawn.uniform();
    case DataSizes::kLogNormal:
      return drawn.log_normal(1.0);
    default:
      return 1.0;
  }
}

std::vector<double> zipf_sizes(int clients, const Draw& drawn) {
  std::vector<std::size_t> order(static_cast<std::size_t>(clients));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> key;
  for (const std::size_t client : order) {
    key.push_back(drawn.of(client).uniform());
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key[a] < key[b]; });
  double sum = 0.0;
  for (int rank = 1; rank <= clients; ++rank) {
    sum += 1.0 / rank;
  }
  std::vector<double> out(order.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    out[order[rank]] = clients / sum / static_cast<double>(rank + 1);
  }
  return out;
}

}  // namespace

std::vector<double> draw_data_sizes(DataSizes sizes, int clients, std::uint64_t seed) {
  const Draw drawn = Draw(seed).of(kDataKey);
  if (sizes == DataSizes::kZipf) {
    return zipf_sizes(clients, drawn);
  }
  std::vector<double> out;
  for (int client = 0; client < clients; ++client) {
    out.push_back(draw_size(sizes, drawn.of(static_cast<std::uint64_t>(client))));
  }
  return out;
}

}  // namespace trainyard
