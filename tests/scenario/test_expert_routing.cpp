#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "sim/scenario/expert_routing.hpp"

using namespace trainyard;

namespace test_expert_routing {

namespace {

ExpertRouting routing_of(const char* text, std::int64_t experts) {
  const Json document = parse_json(text, "test");
  return read_expert_routing(JsonReader(document, "test"), experts);
}

double sum_of(const std::vector<double>& shares) {
  return std::accumulate(shares.begin(), shares.end(), 0.0);
}

}  // namespace

TEST_CASE("uniform routing gives every expert the mean") {
  for (const double share : expert_shares({}, 8, 0)) {
    CHECK(share == doctest::Approx(0.125));
  }
}

TEST_CASE("Zipf routing deals its shares out by the seed, and they sum to one") {
  const ExpertRouting routing = routing_of(R"({"routing": {"zipf": 1.0}})", 4);
  std::vector<double> shares = expert_shares(routing, 4, 1);
  CHECK(shares == expert_shares(routing, 4, 1));
  CHECK(sum_of(shares) == doctest::Approx(1.0));
  std::sort(shares.rbegin(), shares.rend());
  // 1 : 1/2 : 1/3 : 1/4 of 25/12.
  CHECK(shares[0] == doctest::Approx(12.0 / 25.0));
  CHECK(shares[3] == doctest::Approx(3.0 / 25.0));
  bool moved = false;
  for (std::uint64_t seed = 2; seed < 10; ++seed) {
    moved = moved || expert_shares(routing, 4, seed) != expert_shares(routing, 4, 1);
  }
  CHECK(moved);
}

TEST_CASE("counts keep their experts") {
  const auto shares = expert_shares(routing_of(R"({"routing": {"counts": [1, 0, 3, 4]}})", 4), 4, 7);
  CHECK(shares[0] == doctest::Approx(0.125));
  CHECK(shares[1] == 0.0);
  CHECK(shares[3] == doctest::Approx(0.5));
}

TEST_CASE("a capacity drops what is above it") {
  const auto shares =
      expert_shares(routing_of(R"({"routing": {"counts": [1, 0, 3, 4]}, "capacity_factor": 1.0})", 4), 4, 0);
  CHECK(*std::max_element(shares.begin(), shares.end()) == doctest::Approx(0.25));
  CHECK(sum_of(shares) == doctest::Approx(0.625));
}

TEST_CASE("a routing that cannot be is refused where it stands") {
  const auto pointer_of = [](const char* text) {
    try {
      routing_of(text, 4);
    } catch (const UserError& error) {
      return error.fault().pointer;
    }
    return std::string("accepted");
  };
  CHECK(pointer_of(R"({"routing": "random"})") == "/routing");
  CHECK(pointer_of(R"({"routing": {"counts": [1, 2]}})") == "/routing/counts");
  CHECK(pointer_of(R"({"routing": {"counts": [0, 0, 0, 0]}})") == "/routing/counts");
  CHECK(pointer_of(R"({"routing": {"zipf": 1, "counts": [1, 2, 3, 4]}})") == "/routing");
  CHECK(pointer_of(R"({"dispatcher": "pigeon"})") == "/dispatcher");
  CHECK(pointer_of(R"({"capacity_factor": 0})") == "/capacity_factor");
  CHECK(pointer_of(R"({"pad_to_capacity": true})") == "/pad_to_capacity");  // to which?
  CHECK(pointer_of(R"({"pad_to_capacity": false})") == "accepted");
  CHECK(pointer_of(R"({"capacity_factor": 1.5, "pad_to_capacity": true})") == "accepted");
}

}  // namespace test_expert_routing
