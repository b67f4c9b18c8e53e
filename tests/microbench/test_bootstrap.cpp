#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "sim/base/error.hpp"
#include "validation/microbench/bootstrap.hpp"

namespace trainyard::test_bootstrap {
namespace {

// Tests may run side by side: each process takes ports of its own.
BootstrapAddress address(int offset) {
  return {.host = "127.0.0.1", .port = 20000 + (::getpid() % 2000) * 10 + offset};
}

TEST_CASE("every rank hears what every rank says, round after round") {
  constexpr int kRanks = 5;
  std::vector<std::vector<std::string>> heard(kRanks);
  std::vector<std::string> first(kRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      Bootstrap bootstrap(rank, kRanks, address(0));
      bootstrap.barrier();
      const std::string id(128, static_cast<char>(rank));  // as NCCL's id: any bytes
      first[static_cast<std::size_t>(rank)] = bootstrap.broadcast(id);
      heard[static_cast<std::size_t>(rank)] = bootstrap.all_gather("rank " + std::to_string(rank));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int rank = 0; rank < kRanks; ++rank) {
    CAPTURE(rank);
    CHECK(first[static_cast<std::size_t>(rank)] == std::string(128, '\0'));
    CHECK(heard[static_cast<std::size_t>(rank)] ==
          std::vector<std::string>{"rank 0", "rank 1", "rank 2", "rank 3", "rank 4"});
  }
}

TEST_CASE("a single rank needs nobody") {
  Bootstrap bootstrap(0, 1, address(1));
  CHECK(bootstrap.all_gather("alone") == std::vector<std::string>{"alone"});
}

TEST_CASE("ranks that do not come, or cannot reach the first, are the user's fault") {
  CHECK_THROWS_AS(Bootstrap(0, 2, address(2), 0.05), UserError);
  CHECK_THROWS_AS(Bootstrap(1, 2, address(3), 0.05), UserError);
  CHECK_THROWS_AS(Bootstrap(2, 2, address(4), 0.05), UserError);
}

TEST_CASE("a rank that goes away ends the others' round") {
  std::thread leaver([] { Bootstrap(1, 2, address(5)); });
  Bootstrap stayer(0, 2, address(5));
  leaver.join();
  CHECK_THROWS_AS(stayer.barrier(), UserError);
}

}  // namespace
}  // namespace trainyard::test_bootstrap
