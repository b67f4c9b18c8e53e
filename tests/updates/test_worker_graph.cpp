#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <string>

#include "sim/base/error.hpp"
#include "sim/updates/worker_graph.hpp"

using namespace trainyard;

namespace test_worker_graph {

namespace {

std::vector<std::size_t> degrees(GraphKind kind, int workers) {
  std::vector<std::size_t> out;
  for (const std::vector<int>& one : neighbours_of(edges_of(kind, workers), workers)) {
    out.push_back(one.size());
  }
  return out;
}

std::string found_in(const std::vector<GraphEdge>& edges, int workers) {
  try {
    neighbours_of(edges, workers);
  } catch (const UserError& error) {
    CHECK(error.fault().file == "--graph");
    return error.fault().found;
  }
  return "nothing";
}

}  // namespace

TEST_CASE("named graphs have the edges of their names") {
  CHECK(degrees(GraphKind::kRing, 5) == std::vector<std::size_t>(5, 2));
  CHECK(degrees(GraphKind::kComplete, 5) == std::vector<std::size_t>(5, 4));
  // 3 x 4: four different neighbours; of 2 x 3 those above and below are one.
  CHECK(degrees(GraphKind::kTorus, 12) == std::vector<std::size_t>(12, 4));
  CHECK(degrees(GraphKind::kTorus, 6) == std::vector<std::size_t>(6, 3));
  // Of 8: 1, 2, 4 ahead and 1, 2 behind (4 is both); of 7: 1, 2, 4 either way.
  CHECK(degrees(GraphKind::kExponential, 8) == std::vector<std::size_t>(8, 5));
  CHECK(degrees(GraphKind::kExponential, 7) == std::vector<std::size_t>(7, 6));
  // Two workers are one edge in every graph that takes them; one has none.
  for (const GraphKind kind : {GraphKind::kRing, GraphKind::kComplete, GraphKind::kExponential}) {
    CHECK(edges_of(kind, 2).size() == 1);
    CHECK(edges_of(kind, 1).empty());
  }
}

TEST_CASE("what is no connected graph is refused, with the workers that cannot be reached") {
  CHECK(found_in({{0, 1}, {2, 3}, {3, 4}}, 5) == "no way from worker 0 to 2, 3, 4");
  CHECK(found_in({}, 13) == "no way from worker 0 to 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 others");
  CHECK(found_in({{0, 5}}, 5) == "0-5");
  CHECK(found_in({{1, 1}}, 5) == "1-1");
  CHECK_THROWS_AS(edges_of(GraphKind::kTorus, 7), UserError);
}

TEST_CASE("mixing weights are symmetric and each row sums to one; on the complete graph all are equal") {
  CHECK(rc::check([] {
    const int workers = *rc::gen::inRange(2, 12);
    std::vector<GraphEdge> edges = edges_of(GraphKind::kRing, workers);
    for (int i = *rc::gen::inRange(0, 10); i > 0; --i) {
      const int a = *rc::gen::inRange(0, workers);
      edges.push_back({a, (a + *rc::gen::inRange(1, workers)) % workers});
    }
    const std::vector<std::vector<MixingWeight>> weights = mixing_weights(neighbours_of(edges, workers));
    std::vector<std::vector<double>> dense(weights.size(), std::vector<double>(weights.size()));
    for (std::size_t row = 0; row < weights.size(); ++row) {
      double sum = 0.0;
      for (const MixingWeight& one : weights[row]) {
        RC_ASSERT(one.weight > 0.0);
        dense[row][static_cast<std::size_t>(one.worker)] = one.weight;
        sum += one.weight;
      }
      RC_ASSERT(std::abs(sum - 1.0) < 1e-12);
    }
    for (std::size_t row = 0; row < dense.size(); ++row) {
      for (std::size_t column = 0; column < row; ++column) {
        RC_ASSERT(dense[row][column] == dense[column][row]);
      }
    }
    for (const std::vector<MixingWeight>& row :
         mixing_weights(neighbours_of(edges_of(GraphKind::kComplete, workers), workers))) {
      for (const MixingWeight& one : row) {
        RC_ASSERT(std::abs(one.weight - 1.0 / workers) < 1e-12);
      }
    }
  }));
}

}  // namespace test_worker_graph
