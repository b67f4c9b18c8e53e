#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/nccl_log.hpp"

namespace trainyard {
namespace {

struct LogFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_nccl_{}.log", ::getpid());
  explicit LogFile(const std::string& text) { write_file(path, text); }
  ~LogFile() { std::filesystem::remove(path); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
};

// Synthetic: in nccl-tests' layout, with times that nobody measured.
constexpr const char* kDevices =
    "# Using devices\n"
    "#  Rank  0 Group  0 Pid   1 on  one device  0 [0x07] NVIDIA A100\n"
    "#  Rank  1 Group  0 Pid   1 on  one device  1 [0x0f] NVIDIA A100\n"
    "#  Rank  2 Group  0 Pid   9 on  two device  0 [0x07] NVIDIA A100\n"
    "#  Rank  3 Group  0 Pid   9 on  two device  1 [0x0f] NVIDIA A100\n";
constexpr const char* kHeader =
    "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw "
    "#wrong\n"
    "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)\n";
const std::string kWhole =
    std::string("# Collective test starting: all_reduce_perf\nNCCL version 2.22.3+cuda12.4\n") + kDevices + kHeader +
    "           0             0     float     sum      -1     0.10    0.00    0.00      0     0.10\n"
    "        1024           256     float     sum      -1    25.50    0.04    0.06      0    25.00\n"
    "     1048576        262144     float     sum      -1   120.00    8.74   13.11      0   119.00\n";

}  // namespace

TEST_CASE("a log tells operation, ranks, nodes, version and times out of place; calls of no bytes are left out") {
  const LogFile log(kWhole);
  const auto rows = read_nccl_log(log.path.string(), std::nullopt);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].op == CollectiveOp::kAllReduce);
  CHECK(rows[0].ranks == 4);
  CHECK(rows[0].nodes == 2);
  CHECK(rows[0].size.value == 1024.0);
  CHECK(rows[0].time.value == doctest::Approx(25.5e-6));
  CHECK(rows[0].nccl_version == "2.21");  // the newest tables that are not newer than 2.22
  CHECK(rows[1].time.value == doctest::Approx(120e-6));
}

TEST_CASE("an older header without root has its time elsewhere, and the operation may be named by hand") {
  const LogFile log(std::string(kDevices) +
                    "#       size         count      type   redop     time   algbw   busbw  error     time\n"
                    "        1024           256      int8     sum    31.00    0.03    0.05  0e+00    30.00\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(log.path.string(), std::nullopt), doctest::Contains("--op"), UserError);
  const auto rows = read_nccl_log(log.path.string(), CollectiveOp::kAllReduce);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].time.value == doctest::Approx(31e-6));
  CHECK(rows[0].dtype == "int8");
  CHECK_FALSE(rows[0].excluded.empty());  // 8-bit sums cannot use NVLS
}

TEST_CASE("a second run in a log has its own devices and operation") {
  const LogFile log(kWhole +
                    "# Collective test starting: alltoall_perf\n# Using devices\n"
                    "#  Rank  0 Group  0 Pid   1 on  one device  0 [0x07] NVIDIA A100\n"
                    "#  Rank  1 Group  0 Pid   1 on  one device  1 [0x0f] NVIDIA A100\n" +
                    kHeader +
                    "        2048           512     float    none      -1    11.00    0.04    0.06      0    25.00\n");
  const auto rows = read_nccl_log(log.path.string(), std::nullopt);
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].op == CollectiveOp::kAllToAll);
  CHECK(rows[2].ranks == 2);
  CHECK(rows[2].nodes == 1);
}

TEST_CASE("logs without results or devices, and wrong results, are refused in words") {
  CHECK_THROWS_WITH_AS(read_nccl_log(LogFile("nothing\n").path.string(), std::nullopt),
                       doctest::Contains("no measurements"), UserError);
  const LogFile without_devices(
      std::string("# ./all_reduce_perf -b 8\n") + kHeader +
      "        1024           256     float     sum      -1    25.50    0.04    0.06      0    25.00\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(without_devices.path.string(), std::nullopt), doctest::Contains("how many ranks"),
                       UserError);
}

TEST_CASE("measurements whose results were wrong are refused") {
  const LogFile log(std::string("# ./all_reduce_perf -b 8\n") + kDevices + kHeader +
                    "        1024           256     float     sum      -1    25.50    0.04    0.06      7    25.00\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(log.path.string(), std::nullopt), doctest::Contains("wrong results"), UserError);
}

}  // namespace trainyard
