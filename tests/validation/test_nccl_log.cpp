#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/tables/nccl_log.hpp"

namespace trainyard::test_nccl_log {
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
const std::string kWhole = std::string("# Collective test starting: all_reduce_perf\nNCCL version 2.22.3+cuda12.4\n") +
                           kDevices + kHeader +
                           "           0             0     float     sum      -1     0.10    0.00    0.00      0     "
                           "0.10    0.00    0.00      0\n"
                           "        1024           256     float     sum      -1    25.50    0.04    0.06      0    "
                           "25.00    0.04    0.06      0\n"
                           "     1048576        262144     float     sum      -1   120.00    8.74   13.11      0   "
                           "119.00    8.81   13.22      0\n";

}  // namespace

TEST_CASE("a log tells operation, ranks, nodes, version and times out of place; calls of no bytes are left out") {
  const LogFile log(kWhole);
  const auto rows = read_nccl_log(log.path.string());
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
                    "        1024          1024      int8     sum    31.00    0.03    0.05  0e+00    30.00\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(log.path.string()), doctest::Contains("--op"), UserError);
  const auto rows = read_nccl_log(log.path.string(), {.op = CollectiveOp::kAllReduce});
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
                    "        2048           512     float    none      -1    11.00    0.04    0.06      0    25.00    "
                    "0.04    0.06      0\n");
  const auto rows = read_nccl_log(log.path.string());
  REQUIRE(rows.size() == 3);
  CHECK(rows[2].op == CollectiveOp::kAllToAll);
  CHECK(rows[2].ranks == 2);
  CHECK(rows[2].nodes == 1);
}

TEST_CASE("logs without results or devices, and wrong results, are refused in words") {
  CHECK_THROWS_WITH_AS(read_nccl_log(LogFile("nothing\n").path.string()), doctest::Contains("no measurements"),
                       UserError);
  const LogFile without_devices(
      std::string("# ./all_reduce_perf -b 8\n") + kHeader +
      "        1024           256     float     sum      -1    25.50    0.04    0.06      0    25.00\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(without_devices.path.string()), doctest::Contains("how many ranks"), UserError);
}

TEST_CASE("measurements whose results were wrong are refused") {
  const LogFile log(std::string("# ./all_reduce_perf -b 8\n") + kDevices + kHeader +
                    "        1024           256     float     sum      -1    25.50    0.04    0.06      7    25.00    "
                    "0.04    0.06      0\n");
  CHECK_THROWS_WITH_AS(read_nccl_log(log.path.string()), doctest::Contains("wrong results"), UserError);
}

namespace {

// A run of all_reduce on eight devices of the named kind, each line as a launcher would hand it on.
std::string run_of(const std::string& program, int ranks, const std::string& prefix = "",
                   const std::string& gpu = "NVIDIA H100 80GB HBM3", const std::string& ending = "\n") {
  std::string text = program.empty() ? "" : prefix + "# Collective test starting: " + program + ending;
  text += prefix + "# nThread 1 nGpus 1 minBytes 1024 maxBytes 4096 step: 2(factor)" + ending;
  text += prefix + "# Using devices" + ending;
  for (int rank = 0; rank < ranks; ++rank) {
    text += fmt::format("{}#  Rank  {} Group  0 Pid 10{} on host0 device {} [0x1{}] {}{}", prefix, rank, rank, rank,
                        rank, gpu, ending);
  }
  text += prefix + "#       size         count      type   redop    root     time   algbw   busbw #wrong" + ending;
  for (const int size : {1024, 2048, 4096}) {
    text += fmt::format("{}{:>12} {:>12} bfloat16 sum -1 {}.5 0.04 0.06 N/A{}", prefix, size, size / 2, size / 1024,
                        ending);
  }
  return text;
}

std::vector<CollectiveMeasurement> read(const std::string& text, const NcclLogOptions& options = {}) {
  const LogFile log(text);
  return read_nccl_log(log.path.string(), options);
}

}  // namespace

TEST_CASE("whatever a launcher writes before the lines, the rows are the same") {
  for (const char* prefix : {"",
                             "[1,0]<stdout>:",
                             "[1,0]<stdout>: ",
                             "0: ",
                             " 0: ",
                             "00: ",
                             "Mon Apr  8 15:26:03 2024<stdout>:",
                             "Mon Apr  8 15:26:03 2024[1,0]<stdout>:",
                             "[prterun-host-1@1,0]<stdout>: ",
                             "[default0]:",
                             "[rank0]: ",
                             "[0] ",
                             "2024-01-01T00:00:00.123456789Z ",
                             "2024-01-01 00:00:00,123 INFO ",
                             "[pod/nccl-0/main] ",
                             "worker-1  | ",
                             "Nov 26 14:20:05 host0 nccl[123]: ",
                             "1700000000.123 ",
                             "\x1b[32m",
                             "\x1b[0m[1,0]<stdout>:"}) {
    for (const char* ending : {"\n", "\r\n", "\x1b[0m\n"}) {
      CAPTURE(prefix);
      const auto rows = read(run_of("all_reduce_perf", 8, prefix, "NVIDIA H100 80GB HBM3", ending));
      REQUIRE(rows.size() == 3);
      CHECK(rows[2].op == CollectiveOp::kAllReduce);
      CHECK(rows[2].ranks == 8);
      CHECK(rows[2].nodes == 1);
      CHECK(rows[2].size.value == 4096.0);
      CHECK(rows[2].time.value == doctest::Approx(4.5e-6));
      CHECK(rows[2].dtype == "bfloat16");
      CHECK(rows[2].gpu == "NVIDIA H100 80GB HBM3");
    }
  }
}

TEST_CASE("that a build mentions a program is no header, a command is one, and --op holds whatever the log names") {
  const std::string build =
      "Linking  all_reduce.o > ./build/all_reduce_perf\nLinking  all_gather.o > ./build/all_gather_perf\n"
      "nvcc -o ../build/sendrecv_perf sendrecv.o -lnccl\n-rwxr-xr-x 1 me me 12345 Jan 1 all_gather_perf\n";
  CHECK_THROWS_WITH_AS(read(build + run_of("", 8)), doctest::Contains("--op"), UserError);
  CHECK(read(build + run_of("", 8), {.op = CollectiveOp::kAllReduce}).front().op == CollectiveOp::kAllReduce);
  for (const char* command : {"./build/alltoall_perf -b 8 -e 1G -f 2 -g 1", "+ /opt/nccl-tests/alltoall_perf_mpi -b 8",
                              "$ mpirun -np 8 --bind-to none ./build/alltoall_perf", "srun -n 8 alltoall_perf",
                              "[1,0]<stdout>:./alltoall_perf -b 8", "root@host:/# ./alltoall_perf --minbytes 8"}) {
    CAPTURE(command);
    CHECK(read(build + command + "\n" + run_of("", 8)).front().op == CollectiveOp::kAllToAll);
  }
  CHECK(read(run_of("all_gather_perf", 8), {.op = CollectiveOp::kAllReduce}).front().op == CollectiveOp::kAllReduce);
  // One option cannot name two operations that the log tells apart itself.
  CHECK_THROWS_WITH_AS(
      read(run_of("all_gather_perf", 8) + run_of("broadcast_perf", 8), {.op = CollectiveOp::kAllReduce}),
      doctest::Contains("several"), UserError);
}

TEST_CASE("a later run does not inherit the operation of an earlier one") {
  const auto rows = read(run_of("all_gather_perf", 8) + run_of("hypercube_perf", 4) + run_of("sendrecv_perf", 4));
  REQUIRE(rows.size() == 9);
  CHECK(rows[3].why_skipped.find("hypercube") != std::string::npos);
  CHECK(rows[6].op == CollectiveOp::kSendRecv);
  CHECK(rows[6].ranks == 4);
  CHECK_THROWS_WITH_AS(read("./all_gather_perf -b 8\n" + run_of("", 8) + run_of("", 8)), doctest::Contains("--op"),
                       UserError);
}

TEST_CASE("two jobs of one rank are not one job of two ranks") {
  // mpirun -np 2 of a program built without MPI: both processes print everything.
  const std::string one = run_of("all_reduce_perf", 1);
  const std::size_t device = one.find("#  Rank");
  const std::string line = one.substr(device, one.find('\n', device) - device + 1);
  CHECK_THROWS_WITH_AS(read(one.substr(0, device) + line + line + one.substr(device + line.size())),
                       doctest::Contains("mixed"), UserError);
  for (const auto& row :
       read(run_of("all_reduce_perf", 1, "[1,0]<stdout>:") + run_of("all_reduce_perf", 1, "[1,1]<stdout>:"))) {
    CHECK(row.ranks == 1);
  }
  // Tagged lines may even alternate.
  std::string zipped;
  const std::string zero = run_of("all_reduce_perf", 1, "0: ");
  const std::string other = run_of("all_reduce_perf", 1, "1: ");
  for (std::size_t a = 0, b = 0; a < zero.size();) {
    const std::size_t end_a = zero.find('\n', a) + 1;
    const std::size_t end_b = other.find('\n', b) + 1;
    zipped += zero.substr(a, end_a - a) + other.substr(b, end_b - b);
    a = end_a;
    b = end_b;
  }
  const auto rows = read(zipped);
  CHECK(rows.size() == 6);
  CHECK(rows.front().ranks == 1);
}

TEST_CASE("ranks and nodes may be said by hand, but not against the log's list") {
  std::string bare = run_of("all_reduce_perf", 0);
  CHECK_THROWS_WITH_AS(read(bare), doctest::Contains("--ranks and --nodes"), UserError);
  const auto rows = read(bare, {.ranks = 16, .nodes = 2});
  CHECK(rows.front().ranks == 16);
  CHECK(rows.front().nodes == 2);
  CHECK_THROWS_WITH_AS(read(run_of("all_reduce_perf", 8), {.ranks = 4}), doctest::Contains("another number"),
                       UserError);
  CHECK(read(run_of("all_reduce_perf", 8), {.nodes = 1}).front().nodes == 1);
  CHECK_THROWS_WITH_AS(read(run_of("all_reduce_perf", 8), {.nodes = 2}), doctest::Contains("1 hosts listed, --nodes 2"),
                       UserError);
  // Containers of one name: the list says only that there are several.
  std::string twins = run_of("all_reduce_perf", 4);
  for (const auto& [from, to] :
       {std::pair{"device 2 [0x12]", "device 0 [0x10]"}, {"device 3 [0x13]", "device 1 [0x11]"}}) {
    twins.replace(twins.find(from), std::string_view(from).size(), to);
  }
  CHECK(read(twins, {.nodes = 2}).front().nodes == 2);
}

TEST_CASE("a line that ends early is left out, and a version follows from the header's codes too") {
  const std::string whole = run_of("all_reduce_perf", 8);
  const auto rows = read("# nccl-tests version 2.17.1 nccl-headers=22707 nccl-library=22902\n" + whole +
                         "        8192          4096 bfloat16 sum -1 8");
  REQUIRE(rows.size() == 4);
  CHECK(rows[3].why_skipped == "the line has 6 fields of the 9 that its header names");
  CHECK(rows[0].nccl_version == "2.30");  // nearest to 2.29
}

TEST_CASE("sizes, counts and times that no run has are refused, and a field that is missing is not another's") {
  const std::string whole = run_of("all_reduce_perf", 8);
  const auto with = [&](const std::string& line) { return read(whole + line + "\n"); };
  for (const char* bad :
       {"99999999999999999999 1024 float", "-4096 1024 float", "4096.5 1024 float", "1e300 1024 float",
        "1e-320 1024 float", "4096 1023 float", "4096 128 float", "4096 -1024 float", "0 1024 float"}) {
    CAPTURE(bad);
    const std::string line = bad + std::string(" sum -1 8.5 0.04 0.06 0");
    CHECK_THROWS_WITH_AS(with(line), doctest::Contains("line 16"), UserError);
  }
  // Of operations that cut their buffer the count may be that of one rank.
  CHECK(read(run_of("all_gather_perf", 8) + "8192 256 float none -1 8.5 0.04 0.06 0\n").back().size.value == 8192.0);
  for (const char* bad : {"1e-320", "0.0001", "1e13", "-5"}) {
    CAPTURE(bad);
    CHECK_THROWS_WITH_AS(with("4096 1024 float sum -1 " + std::string(bad) + " 0.04 0.06 0"),
                         doctest::Contains("0.001 to 1e12 us"), UserError);
  }
  std::string both = whole;
  both.replace(both.find("#wrong"), 6, "#wrong time algbw busbw #wrong");
  const auto rows = read(both + "4096 1024 float sum -1 167.77 293.60 0 401.0 167.35 292.87 0\n");
  CHECK(rows.back().why_skipped == "the line has 12 fields of the 13 that its header names");
  for (const char* bad : {"4096 float sum -1 400.0", "1024 float sum -1 400.0", "4096 1024 sum -1 400.0",
                          "4096 1024 float sum 400.0", "4096 1024 float sum -1"}) {
    CAPTURE(bad);
    CHECK(read(both + bad + " 167.77 293.60 0 401.0 167.35 292.87 0\n").back().why_skipped ==
          "the line has 12 fields of the 13 that its header names");
  }
  CHECK(rows.front().why_skipped.empty());  // of programs that measure nothing in place
}

TEST_CASE("older tables: bytes for size, no redop, an empty redop") {
  const std::string devices =
      "#   Rank  0 Pid 1 on one device 0 [0x07] Tesla V100-SXM2-32GB\n"
      "#   Rank  1 Pid 1 on one device 1 [0x0f] Tesla V100-SXM2-32GB\n";
  const std::string start = "# Using devices\n" + devices;
  const NcclLogOptions gather{.op = CollectiveOp::kAllGather};
  const auto old = read(start +
                            "#      bytes             N    type      op     time  algbw  busbw      res\n"
                            "       1024           256   float     sum    0.025   0.04   0.06    1e-7\n",
                        gather);
  CHECK(old.front().time.value == doctest::Approx(0.025e-6));
  const auto empty = read(start +
                              "#  size  count  type  redop  time  algbw  busbw  error\n"
                              "  1024   256  float          31.00   0.04   0.06  0e+00\n",
                          gather);
  CHECK(empty.front().time.value == doctest::Approx(31e-6));
}

}  // namespace trainyard::test_nccl_log
