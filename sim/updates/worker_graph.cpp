#include "sim/updates/worker_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "sim/updates/compressors/demand.hpp"

namespace trainyard {
namespace {

// Several ways between the same two are one edge.
std::vector<GraphEdge> once_each(std::vector<std::pair<int, int>> pairs) {
  for (auto& [a, b] : pairs) {
    if (a > b) {
      std::swap(a, b);
    }
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  std::vector<GraphEdge> out;
  for (const auto& [a, b] : pairs) {
    if (a != b) {
      out.push_back({a, b});
    }
  }
  return out;
}

std::vector<std::pair<int, int>> torus_pairs(int workers) {
  int rows = 1;
  for (int divisor = 2; divisor <= workers / divisor; ++divisor) {
    rows = workers % divisor == 0 ? divisor : rows;
  }
  if (rows == 1) {
    throw UserError({.file = "--graph",
                     .found = fmt::format("torus of {} workers", workers),
                     .allowed = "a number of workers that has rows and columns",
                     .problem = "one row of workers is a ring",
                     .remedy = "ask for --graph ring, or another number of workers"});
  }
  const int columns = workers / rows;
  std::vector<std::pair<int, int>> out;
  for (int worker = 0; worker < workers; ++worker) {
    const int row = worker / columns;
    const int column = worker % columns;
    out.emplace_back(worker, row * columns + (column + 1) % columns);
    out.emplace_back(worker, (row + 1) % rows * columns + column);
  }
  return out;
}

// "4, 5, 6 and 12 others"
std::string some_of(const std::vector<int>& workers) {
  constexpr std::size_t kNamed = 10;
  const std::size_t named = std::min(workers.size(), kNamed);
  std::string out;
  for (std::size_t i = 0; i < named; ++i) {
    out += fmt::format("{}{}", i == 0 ? "" : ", ", workers[i]);
  }
  return workers.size() > named ? fmt::format("{} and {} others", out, workers.size() - named) : out;
}

void require_connected(const std::vector<std::vector<int>>& neighbours) {
  std::vector<bool> is_reached(neighbours.size());
  std::vector<int> next = {0};
  is_reached[0] = true;
  while (!next.empty()) {
    const int worker = next.back();
    next.pop_back();
    for (const int other : neighbours[static_cast<std::size_t>(worker)]) {
      if (!is_reached[static_cast<std::size_t>(other)]) {
        is_reached[static_cast<std::size_t>(other)] = true;
        next.push_back(other);
      }
    }
  }
  std::vector<int> apart;
  for (std::size_t worker = 0; worker < neighbours.size(); ++worker) {
    if (!is_reached[worker]) {
      apart.push_back(static_cast<int>(worker));
    }
  }
  demand(apart.empty(), "--graph", fmt::format("no way from worker 0 to {}", some_of(apart)), "a connected graph",
         "workers that nothing joins never agree");
}

}  // namespace

std::vector<GraphEdge> edges_of(GraphKind kind, int workers) {
  std::vector<std::pair<int, int>> pairs;
  switch (kind) {
    case GraphKind::kRing:
      for (int worker = 0; worker < workers; ++worker) {
        pairs.emplace_back(worker, (worker + 1) % workers);
      }
      break;
    case GraphKind::kTorus:
      pairs = torus_pairs(workers);
      break;
    case GraphKind::kComplete:
      for (int worker = 0; worker < workers; ++worker) {
        for (int other = worker + 1; other < workers; ++other) {
          pairs.emplace_back(worker, other);
        }
      }
      break;
    case GraphKind::kExponential:
      for (int worker = 0; worker < workers; ++worker) {
        for (int hop = 1; hop<workers; hop = hop> workers / 2 ? workers : 2 * hop) {
          pairs.emplace_back(worker, (worker + hop) % workers);
        }
      }
      break;
  }
  return once_each(std::move(pairs));
}

std::vector<std::vector<int>> neighbours_of(const std::vector<GraphEdge>& edges, int workers) {
  std::vector<std::vector<int>> out(static_cast<std::size_t>(workers));
  for (const GraphEdge& edge : edges) {
    for (const int end : {edge.a, edge.b}) {
      demand(end >= 0 && end < workers, "--graph", fmt::format("{}-{}", edge.a, edge.b),
             fmt::format("workers 0 to {}", workers - 1), "an edge joins a worker that does not exist");
    }
    demand(edge.a != edge.b, "--graph", fmt::format("{}-{}", edge.a, edge.b), "two different workers",
           "an edge joins a worker with itself");
    out[static_cast<std::size_t>(edge.a)].push_back(edge.b);
    out[static_cast<std::size_t>(edge.b)].push_back(edge.a);
  }
  for (std::vector<int>& one : out) {
    std::sort(one.begin(), one.end());
    one.erase(std::unique(one.begin(), one.end()), one.end());
  }
  require_connected(out);
  return out;
}

std::vector<std::vector<MixingWeight>> mixing_weights(const std::vector<std::vector<int>>& neighbours) {
  std::vector<std::vector<MixingWeight>> out;
  for (std::size_t worker = 0; worker < neighbours.size(); ++worker) {
    std::vector<MixingWeight> row;
    double own = 1.0;
    for (const int other : neighbours[worker]) {
      const std::size_t more = std::max(neighbours[worker].size(), neighbours[static_cast<std::size_t>(other)].size());
      const double weight = 1.0 / (1.0 + static_cast<double>(more));
      row.push_back({.worker = other, .weight = weight});
      own -= weight;
    }
    row.push_back({.worker = static_cast<int>(worker), .weight = own});
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace trainyard
