#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "sim/schedules/pipeline.hpp"
#include "sim/schedules/schedule_table.hpp"

using namespace trainyard;

namespace test_schedule_table {

namespace {

// The fault that a table is refused for.
Fault fault_of(const char* text) {
  try {
    parse_schedule_table(text, "mine.txt");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("the table was taken");
  return {};
}

}  // namespace

TEST_CASE("a table gives every stage's passes in order, with comments, gaps and chunks") {
  const ScheduleTable table = parse_schedule_table(
      "# two stages, a V\n"
      "placement v\n"
      "\n"
      "F0 -    -    F0.1 B0.1 W0.1 B0 W0   # the first stage\n"
      "-  F0   F0.1 B0.1 W0.1 B0   W0\r\n",
      "mine.txt");
  CHECK(table.placement == Placement::kV);
  CHECK(table.chunks == 2);
  CHECK(table.micro_batches == 1);
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0] == PassOrder{{PassKind::kForward, 0, 0},
                                   {PassKind::kForward, 0, 1},
                                   {PassKind::kInputGradient, 0, 1},
                                   {PassKind::kWeightGradient, 0, 1},
                                   {PassKind::kInputGradient, 0, 0},
                                   {PassKind::kWeightGradient, 0, 0}});
  CHECK(table.rows[1].size() == 6);
}

TEST_CASE("a backward pass without W is whole, beside others that are split") {
  const ScheduleTable table = parse_schedule_table("F0 F1 B0 B1 W1", "mine.txt");
  CHECK(table.micro_batches == 2);
  CHECK(table.rows[0][2].kind == PassKind::kBackward);
  CHECK(table.rows[0][3].kind == PassKind::kInputGradient);
}

TEST_CASE("the mark that editors put in front of UTF-8 is no cell") {
  CHECK(parse_schedule_table("\xEF\xBB\xBF"
                             "F0 B0\n",
                             "mine.txt")
            .micro_batches == 1);
}

TEST_CASE("a mistake is named with its line and column") {
  CHECK(fault_of("F0 B0\nF0 X0\n").file == "mine.txt:2:4");
  CHECK(fault_of("F0 B0\nF0 X0\n").found == "X0");
  CHECK(fault_of("F0  F\n").file == "mine.txt:1:5");
  CHECK(fault_of("F0 B0.\n").file == "mine.txt:1:4");
  CHECK(fault_of("F0 B0x\n").found == "B0x");
  CHECK(fault_of("F-1 B0\n").found == "F-1");
  CHECK(fault_of("F99999999999999 B0\n").file == "mine.txt:1:1");
  // Twice, missing, and before what it needs.
  CHECK(fault_of("F0 B0 F0\n").problem == "a pass stands twice in the row");
  CHECK(fault_of("F0 B0 F0\n").file == "mine.txt:1:7");
  CHECK(fault_of("F0 F1 B0\n").problem == "B1 is missing");
  CHECK(fault_of("F0 B0\n\nB0 F0\n").problem == "B0 stands before F0");
  CHECK(fault_of("F0 B0\n\nB0 F0\n").file == "mine.txt:3:1");
  CHECK(fault_of("F0 W0 B0\n").problem == "W0 stands before B0");
  CHECK(fault_of("F0 B0\n-\n").file == "mine.txt:2:1");
  CHECK(fault_of("# nothing\n").problem == "the schedule table has no rows");
}

TEST_CASE("the placement is one of three, in front, and limits the chunks") {
  CHECK(fault_of("placement w\nF0 B0\n").file == "mine.txt:1:11");
  CHECK(fault_of("F0 B0\nplacement v\n").file == "mine.txt:2:1");
  CHECK(fault_of("placement v\nF0.2 B0.2\n").file == "mine.txt:2:1");
  // Of two micro-batches the first goes down (chunk 0), the second up.
  CHECK(fault_of("placement bidirectional\nF0.1 F1.1 B0.1 B1.1\n").found == "F0.1");
}

}  // namespace test_schedule_table
