// The longest path of programs small enough for a pencil.
#include <doctest/doctest.h>

#include "sim/engine/column_times.hpp"
#include "tests/engine/hand_made.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_analytic {

TEST_CASE("kernels start when they are issued and their stream is free") {
  const Fabric fabric = star(1, 1_GBps);
  const PencilCosts costs(fabric, 0_us);
  KernelRun run;  // three kernels, issued in 10 us each, running 1 us, 1 us and 100 us
  run.append(10_us, 1_us);
  run.append(10_us, 1_us);
  run.append(10_us, 100_us);
  PencilProgram program;
  program.add({0}, [&](RankBuilder& rank) {
    rank.kernels(Category::kCompute, "first", run);
    rank.kernels(Category::kCompute, "second", run);
    rank.host_wait("end");
  });
  const Program taken = program.take();
  const RankTimeline rank = simulate_analytic(taken, fabric, costs).ranks.front();
  const std::vector<double> issued = issue_times(taken.classes.front(), rank);
  CHECK(issued[0] == doctest::Approx(30e-6));
  CHECK(rank.end[0] == doctest::Approx(130e-6));  // the last is issued at 30 us and runs 100 us
  CHECK(issued[1] == doctest::Approx(60e-6));
  CHECK(rank.end[1] == doctest::Approx(232e-6));  // all issued before the device is free at 130 us: 102 us more
  CHECK(rank.end[2] == doctest::Approx(232e-6));  // the host waits for the device
}

TEST_CASE("after a host wait the next launch starts from when the device was done") {
  const Fabric fabric = star(1, 1_GBps);
  const PencilCosts costs(fabric, 0_us);
  KernelRun run;
  run.append(10_us, 50_us);
  PencilProgram program;
  program.add({0}, [&](RankBuilder& rank) {
    rank.kernels(Category::kCompute, "first", run);
    rank.host_wait("synchronise");
    rank.host_work("python", 5_us);
    rank.kernels(Category::kCompute, "second", run);
  });
  const RankTimeline rank = simulate_analytic(program.take(), fabric, costs).ranks.front();
  // 10 + 50, then 5 of Python, 10 of launch and 50 of kernel.
  CHECK(rank.end[1] == doctest::Approx(60e-6));
  CHECK(rank.end[2] == doctest::Approx(65e-6));
  CHECK(rank.end[3] == doctest::Approx(125e-6));
}

TEST_CASE("a host that waits for the data flow does not wait for a message beside it") {
  const Fabric fabric = star(2, 1_GBps);
  const PencilCosts costs(fabric, 0_us);
  KernelRun run;
  run.append(10_us, 50_us);
  PencilProgram program;
  const CommunicationId message = program.communication(CollectiveOp::kSendRecv, 1_MB, {{RankId{0}, RankId{1}}});
  program.add({0}, [&](RankBuilder& rank) {
    rank.communicate_async(Category::kPipeline, StreamName::kSendNext, "send", 0_us, message);
    rank.kernels(Category::kCompute, "first", run);
    rank.host_wait_for_flow("read numbers");
    rank.kernels(Category::kCompute, "second", run);
  });
  program.add({1}, [&](RankBuilder& rank) {
    compute(rank, 1_ms);
    rank.communicate(Category::kPipeline, StreamName::kReceivePrevious, "receive", 0_us, {&message, 1});
  });
  const RankTimeline rank = simulate_analytic(program.take(), fabric, costs).ranks.front();
  // 10 + 50, then 10 of launch and 50 of kernel; the message goes at 1 ms and takes another.
  CHECK(rank.end[2] == doctest::Approx(60e-6));
  CHECK(rank.end[3] == doctest::Approx(120e-6));
  CHECK(rank.end[0] == doctest::Approx(2e-3));
}

TEST_CASE("a collective starts with its last member and ends for all at once") {
  const Fabric fabric = star(4, 10_GBps);
  const PencilCosts costs(fabric, 2_ms);
  PencilProgram program;
  const CommunicationId reduce =
      program.communication(CollectiveOp::kAllReduce, 1_GB, {{RankId{0}, RankId{1}, RankId{2}, RankId{3}}});
  for (const std::int32_t rank_number : {0, 1, 2, 3}) {
    program.add({rank_number}, [&](RankBuilder& rank) {
      compute(rank, 10_ms * static_cast<double>(rank_number));
      collect(rank, reduce);
    });
  }
  // The last arrives at 30 ms; a ring of 1 GB flows on links of its own takes 100 ms, after 2 ms latency.
  const Program written = program.take();
  for (const RankTimeline& rank : simulate_analytic(written, fabric, costs).ranks) {
    const std::vector<double> start = start_times(written.classes[rank.program_class.index()], rank);
    CHECK(start[1] == doctest::Approx(0.01 * rank.rank.value));
    CHECK(rank.moving[0] == doctest::Approx(0.03));
    CHECK(rank.end[1] == doctest::Approx(0.132));
  }
}

TEST_CASE("a collective beside kernels is waited for where it is joined") {
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 0_ms);
  PencilProgram program;
  const CommunicationId reduce = program.communication(CollectiveOp::kAllReduce, 1_GB, {{RankId{0}, RankId{1}}});
  program.add({0, 1}, [&](RankBuilder& rank) {
    compute(rank, 10_ms);
    const OperationId beside = rank.communicate_async(Category::kData, StreamName::kData, "reduce", {}, reduce);
    compute(rank, 30_ms);
    rank.join(beside);
    compute(rank, 5_ms);
  });
  const RankTimeline rank = simulate_analytic(program.take(), fabric, costs).ranks.front();
  CHECK(rank.multiplicity == 2);
  CHECK(rank.end[1] == doctest::Approx(0.11));  // 10 ms + 1 GB at 10 GB/s
  CHECK(rank.end[2] == doctest::Approx(0.04));  // beside it
  CHECK(rank.end[3] == doctest::Approx(0.115));
}

TEST_CASE("groups of one program in unequal places cost each what it costs") {
  // Devices 0 to 3; the pair 2, 3 has twice the latency of the pair 0, 1. Both pairs run the same program.
  const Fabric fabric = star(4, 10_GBps);
  PencilCosts costs(fabric, 0_ms);
  costs.latency_of = [](const CollectiveRequest& request) {
    return request.members.front() == DeviceId{0} ? 10_ms : 20_ms;
  };
  PencilProgram program;
  const CommunicationId reduce =
      program.communication(CollectiveOp::kAllReduce, 1_GB, {{RankId{0}, RankId{1}}, {RankId{2}, RankId{3}}});
  program.add({0, 1, 2, 3}, [&](RankBuilder& rank) { collect(rank, reduce); });
  const Timeline timeline = simulate_analytic(program.take(), fabric, costs);
  REQUIRE(timeline.ranks.size() == 2);
  CHECK(timeline.ranks[0].end[0] == doctest::Approx(0.11));
  CHECK(timeline.ranks[1].end[0] == doctest::Approx(0.12));
}

}  // namespace test_analytic
