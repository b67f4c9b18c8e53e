// Flows that meet on links too narrow for them get from our solver what they get from SimGrid's.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_simgrid_shares {

namespace {

constexpr std::int32_t kDevices = 7;

// Sixty messages of random sizes between random devices, three ways beside each other, each a random time after what
// its ends did before. Every one crosses the sender's link up and the receiver's link down. Devices take the messages
// of a way in the same order, so that none wait for each other in a circle.
Program random_messages(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&random](std::int32_t most) {
    return static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(most));
  };
  constexpr std::array<StreamName, 3> kWays = {StreamName::kPipeline, StreamName::kData, StreamName::kExpert};
  PencilProgram program;
  std::array<std::vector<std::pair<CommunicationId, StreamName>>, kDevices> messages;
  for (std::size_t m = 0; m < 60; ++m) {
    const std::int32_t from = below(kDevices);
    const std::int32_t to = (from + 1 + below(kDevices - 1)) % kDevices;
    const CommunicationId id = program.message(from, to, 1_MB * static_cast<double>(1 + below(400)));
    for (const std::int32_t end : {from, to}) {
      messages[static_cast<std::size_t>(end)].emplace_back(id, kWays[m % kWays.size()]);
    }
  }
  for (std::int32_t device = 0; device < kDevices; ++device) {
    program.add({device}, [&](RankBuilder& rank) {
      for (const auto& [id, way] : messages[static_cast<std::size_t>(device)]) {
        compute(rank, 1_ms * static_cast<double>(below(60)));
        rank.communicate_async(Category::kPipeline, way, "message", {}, id);
      }
    });
  }
  return program.take();
}

}  // namespace

TEST_CASE("flows that come and go get the shares that SimGrid's solver gives them") {
  const Fabric fabric = star(kDevices, 1_GBps);
  PencilCosts costs(fabric, 10_us);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    costs.rate_limit = seed % 2 == 0 ? 0.7_GBps : 0.0_GBps;
    const Program program = random_messages(seed);
    const std::vector<Json> timelines =
        timelines_of({[&] { return simulate_flow(program, fabric, costs, Fold::kOff); },
                      [&] { return simulate_simgrid(program, fabric, costs, Fold::kOff); }});
    const double step = timelines[0]["step"].get<double>();
    REQUIRE(timelines[0]["ranks"].size() == timelines[1]["ranks"].size());
    double apart = 0.0;
    for (std::size_t r = 0; r < timelines[0]["ranks"].size(); ++r) {
      const Json& ours = timelines[0]["ranks"][r]["end"];
      const Json& theirs = timelines[1]["ranks"][r]["end"];
      for (std::size_t i = 0; i < ours.size(); ++i) {
        apart = std::max(apart, std::abs(ours[i].get<double>() - theirs[i].get<double>()));
      }
    }
    CHECK(apart <= 1e-9 * step);
  }
}

}  // namespace test_simgrid_shares
