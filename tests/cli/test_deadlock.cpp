// A user's schedule whose stages wait for each other.
#include <doctest/doctest.h>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_deadlock {

TEST_CASE("a schedule table that deadlocks ends with exit code 4 and names who waits for what") {
  const ScratchFolder scratch;
  // Stage 0 wants the first micro-batch back before it sends the second; stage 1 wants the second first.
  const std::string table = scratch.file("crossed.txt", "F0 B0 F1 B1\nF1 B1 F0 B0\n");
  for (const char* verb : {"run --network flow", "run --network analytic", "memory"}) {
    CAPTURE(verb);
    const Outcome outcome =
        trainyard_line(verb + std::string(" --model gpt2 --cluster dgx-a100 --gpus 2 --pp 2 --micro-batch 1 ") +
                       "--global-batch 2 --schedule " + table);
    CHECK(outcome.code == 4);
    CHECK(outcome.out.empty());
    CAPTURE(outcome.err);
    // Ranks with their stage, the stream, the operation and its micro-batch.
    for (const char* part :
         {"deadlock", "rank 0 (stage 0)", "rank 1 (stage 1)", "stream pp receive next", "stream pp receive previous",
          "p2p receive gradient\" of micro-batch 1", "p2p receive activation\" of micro-batch 1"}) {
      CAPTURE(part);
      CHECK(outcome.err.find(part) != std::string::npos);
    }
  }
}

TEST_CASE("the same passes in an order that works end well") {
  const ScratchFolder scratch;
  const std::string table = scratch.file("straight.txt", "F0 F1 B0 B1\nF0 B0 F1 B1\n");
  const Outcome outcome = trainyard_line(
      "run --model gpt2 --cluster dgx-a100 --gpus 2 --pp 2 --micro-batch 1 --global-batch 2 --schedule " + table);
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
}

}  // namespace test_deadlock
