#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "sim/base/files.hpp"
#include "validation/microbench/records.hpp"

namespace trainyard::test_records {
namespace {

TEST_CASE("the spread of timings is their median and outer tenths") {
  // 1 .. 11: the tenth percentile lies one step above the smallest.
  std::vector<double> seconds;
  for (int i = 1; i <= 11; ++i) {
    seconds.push_back(i);
  }
  const Json spread = spread_json(seconds);
  CHECK(spread["median"] == 6.0);
  CHECK(spread["low"] == 2.0);
  CHECK(spread["high"] == 10.0);
  CHECK(spread["repeats"] == 11);
}

TEST_CASE("the spread order visits every case once and its beginning spans the range") {
  for (const std::size_t count : {0U, 1U, 2U, 3U, 10U, 144U, 1000U}) {
    CAPTURE(count);
    const std::vector<std::size_t> order = spread_order(count);
    CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == count);
  }
  const std::vector<std::size_t> order = spread_order(1000);
  std::set<std::size_t> tenths;
  for (std::size_t i = 0; i < 30; ++i) {
    tenths.insert(order[i] / 100);
  }
  CHECK(tenths.size() == 10);
}

TEST_CASE("records are appended, one line each") {
  const auto path = std::filesystem::temp_directory_path() / "trainyard_records.jsonl";
  std::filesystem::remove(path);
  RecordWriter(path.string()).write({{"record", "gemm"}, {"m", 1}});
  RecordWriter(path.string()).write({{"record", "gemm"}, {"m", 2}});
  CHECK(read_file(path) == "{\"record\":\"gemm\",\"m\":1}\n{\"record\":\"gemm\",\"m\":2}\n");
  std::filesystem::remove(path);
  CHECK_THROWS_AS(RecordWriter("/nowhere/records.jsonl"), UserError);
}

TEST_CASE("a time limit passes when its time is over") {
  CHECK_FALSE(TimeLimit(1000.0).passed());
  CHECK(TimeLimit(-1.0).passed());
  CHECK(TimeLimit(1000.0).left() > 990.0);
  CHECK(TimeLimit(-1.0).left() <= -1.0);
}

}  // namespace
}  // namespace trainyard::test_records
