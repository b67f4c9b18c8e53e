// The fluid engine on networks small enough for a pencil.
#include <doctest/doctest.h>

#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_flow {

namespace {

Json flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold = Fold::kOff) {
  return timeline_of([&] { return simulate_flow(program, fabric, costs, fold); });
}

double end_of(const Json& timeline, std::int32_t rank, std::size_t operation) {
  for (const Json& one : timeline["ranks"]) {
    if (one["rank"] == rank) {
      return one["end"][operation];
    }
  }
  FAIL("no such rank");
  return 0.0;
}

// Devices 0 and 1 each send a message to device 2, whose link down is shared.
Program two_senders(Bytes first, Bytes second) {
  PencilProgram program;
  const CommunicationId a = program.message(0, 2, first);
  const CommunicationId b = program.message(1, 2, second);
  program.add({0}, [&](RankBuilder& rank) { send(rank, a); });
  program.add({1}, [&](RankBuilder& rank) { send(rank, b); });
  program.add({2}, [&](RankBuilder& rank) {
    rank.communicate_async(Category::kPipeline, StreamName::kPipeline, "first", {}, a);
    rank.communicate_async(Category::kData, StreamName::kData, "second", {}, b);
  });
  return program.take();
}

}  // namespace

TEST_CASE("two messages into one device get half of its link each") {
  const Fabric fabric = star(3, 10_GBps);
  const PencilCosts costs(fabric, 0_us);
  // 1 GB each at 5 GB/s: 0.2 s.
  const Json timeline = flow(two_senders(1_GB, 1_GB), fabric, costs);
  CHECK(end_of(timeline, 0, 0) == doctest::Approx(0.2).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 0) == doctest::Approx(0.2).epsilon(1e-9));
  CHECK(timeline["step"] == doctest::Approx(0.2).epsilon(1e-9));
}

TEST_CASE("what a message leaves free the other takes") {
  const Fabric fabric = star(3, 10_GBps);
  const PencilCosts costs(fabric, 0_us);
  // Half the link each until the first GB is over at 0.2 s; the second message has 2 GB left, which take 0.2 s alone.
  const Json timeline = flow(two_senders(1_GB, 3_GB), fabric, costs);
  CHECK(end_of(timeline, 0, 0) == doctest::Approx(0.2).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 0) == doctest::Approx(0.4).epsilon(1e-9));
}

TEST_CASE("shares do not depend on latency: a link is shared by bytes in flight, not by distance") {
  const Fabric fabric = star(3, 10_GBps);
  PencilCosts costs(fabric, 0_us);
  costs.latency_of = [](const CollectiveRequest& request) {
    return request.members.front() == DeviceId{0} ? 10_ms : 40_ms;
  };
  // The first moves alone from 0.01 to 0.04 s (0.3 GB); then both have 5 GB/s: 0.7 GB take until 0.18 s. The second has
  // 0.7 GB at 0.18 s; its last 0.3 GB move at 10 GB/s until 0.21 s.
  const Json timeline = flow(two_senders(1_GB, 1_GB), fabric, costs);
  CHECK(end_of(timeline, 0, 0) == doctest::Approx(0.18).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 0) == doctest::Approx(0.21).epsilon(1e-9));
}

TEST_CASE("a message without latency shares fairly with one that has some") {
  const Fabric fabric = star(3, 10_GBps);
  PencilCosts costs(fabric, 0_us);
  costs.latency_of = [](const CollectiveRequest& request) {
    return request.members.front() == DeviceId{0} ? 0_ms : 20_ms;
  };
  // Alone until 0.02 s (0.2 GB), then half: 0.8 GB take 0.16 s. The second then has 0.2 GB left for 0.02 s alone.
  const Json timeline = flow(two_senders(1_GB, 1_GB), fabric, costs);
  CHECK(end_of(timeline, 0, 0) == doctest::Approx(0.18).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 0) == doctest::Approx(0.2).epsilon(1e-9));
}

TEST_CASE("a flow never exceeds its own limit, and what it leaves free is shared") {
  const Fabric fabric = star(3, 10_GBps);
  PencilCosts costs(fabric, 0_us);
  costs.rate_limit = 2_GBps;
  // Two limits of 2 GB/s fill less than the link: 1 GB take 0.5 s.
  CHECK(flow(two_senders(1_GB, 1_GB), fabric, costs)["step"] == doctest::Approx(0.5).epsilon(1e-9));
  costs.rate_limit = 8_GBps;
  // Two of 8 GB/s do not: 5 GB/s each.
  CHECK(flow(two_senders(1_GB, 1_GB), fabric, costs)["step"] == doctest::Approx(0.2).epsilon(1e-9));
}

TEST_CASE("opposite directions of a link do not disturb each other") {
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 0_us);
  PencilProgram program;
  const CommunicationId there = program.message(0, 1, 1_GB);
  const CommunicationId back = program.message(1, 0, 1_GB);
  const auto both = [&](RankBuilder& rank) {
    const std::array<CommunicationId, 2> together = {there, back};
    rank.communicate(Category::kPipeline, StreamName::kPipeline, "exchange", {}, together);
  };
  program.add({0}, both);
  program.add({1}, both);
  CHECK(flow(program.take(), fabric, costs)["step"] == doctest::Approx(0.1).epsilon(1e-9));
}

TEST_CASE("a message moves once both ends have reached it, after its latency") {
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 5_ms);
  PencilProgram program;
  const CommunicationId message = program.message(0, 1, 1_GB);
  program.add({0}, [&](RankBuilder& rank) {
    compute(rank, 30_ms);
    send(rank, message);
  });
  program.add({1}, [&](RankBuilder& rank) {
    send(rank, message);
    compute(rank, 10_ms);
  });
  const Json timeline = flow(program.take(), fabric, costs);
  // Sent at 0.03 s, 5 ms latency, 0.1 s of bytes.
  CHECK(end_of(timeline, 0, 1) == doctest::Approx(0.135).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 0) == doctest::Approx(0.135).epsilon(1e-9));
  CHECK(end_of(timeline, 1, 1) == doctest::Approx(0.145).epsilon(1e-9));
  for (const Json& rank : timeline["ranks"]) {
    CHECK(rank["moving"][0] == doctest::Approx(0.03).epsilon(1e-9));
  }
}

TEST_CASE("a group of one and a collective of no bytes cost nothing") {
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 5_ms);
  PencilProgram program;
  const CommunicationId alone = program.communication(CollectiveOp::kAllReduce, 1_GB, {{RankId{0}}, {RankId{1}}});
  const CommunicationId nothing = program.communication(CollectiveOp::kAllReduce, 0_B, {{RankId{0}, RankId{1}}});
  program.add({0, 1}, [&](RankBuilder& rank) {
    collect(rank, alone);
    compute(rank, 1_ms);
    collect(rank, nothing);
    compute(rank, 1_ms);
  });
  const Program written = program.take();
  CHECK(flow(written, fabric, costs)["step"] == doctest::Approx(0.002).epsilon(1e-9));
  CHECK(simulate_analytic(written, fabric, costs).step.value == doctest::Approx(0.002).epsilon(1e-9));
}

TEST_CASE("the bytes through every link are those of the messages that crossed it") {
  const Fabric fabric = star(3, 10_GBps);
  const PencilCosts costs(fabric, 0_us);
  const Json timeline = flow(two_senders(1_GB, 3_GB), fabric, costs);
  double bytes = 0.0;
  for (const Json& link : timeline["links"]) {
    bytes += link["bytes"].get<double>() * link["count"].get<double>();
  }
  // The links up cannot limit what the shared link down does, and may be left out: 4 GB pass the link down.
  CHECK(bytes >= 4e9);
  CHECK(bytes <= 8e9);
}

TEST_CASE("the same program gives the same bits twice") {
  const Fabric fabric = star(3, 10_GBps);
  const PencilCosts costs(fabric, 3_us);
  const Program program = two_senders(1_MB, 3_MB);
  const auto run = [&] { return simulate_flow(program, fabric, costs, Fold::kOn); };
  const std::vector<Json> twice = timelines_of({run, run});
  CHECK(twice[0] == twice[1]);
}

TEST_CASE("crossed receives are a deadlock that names who waits, in both engines") {
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 0_us);
  PencilProgram program;
  const CommunicationId there = program.message(0, 1, 1_MB);
  const CommunicationId back = program.message(1, 0, 1_MB);
  program.add({0}, [&](RankBuilder& rank) {
    compute(rank, 1_ms);
    send(rank, back);  // waits for what rank 1 sends only after it has received
    send(rank, there);
  });
  program.add({1}, [&](RankBuilder& rank) {
    send(rank, there);
    send(rank, back);
  });
  const Program written = program.take();
  for (const Json& result :
       {timeline_of([&] { return simulate_analytic(written, fabric, costs); }), flow(written, fabric, costs)}) {
    REQUIRE(result.contains("error"));
    CHECK(result["code"] == static_cast<int>(ExitCode::kDeadlock));
    const auto text = result["error"].get<std::string>();
    CHECK(text.find("rank 0 (class 0), stream pp: operation 1") != std::string::npos);
    CHECK(text.find("rank 1 (class 1), stream pp: operation 0") != std::string::npos);
  }
}

}  // namespace test_flow
