#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "sim/base/fork_pool.hpp"
#include "sim/base/parallel.hpp"

using namespace trainyard;

namespace test_parallel {

TEST_CASE("every part is done once, on any number of threads") {
  for (const std::size_t workers : {0, 1, 2, 7, 100}) {
    CAPTURE(workers);
    std::vector<int> done(50, 0);
    in_parallel(done.size(), workers, [&](std::size_t part) { ++done[part]; });
    CHECK(done == std::vector<int>(50, 1));
  }
  in_parallel(0, 4, [](std::size_t) { FAIL("there is nothing to do"); });
}

TEST_CASE("threads are for work that takes longer than to start them") {
  CHECK(workers_for(1000.0) == 1);
  CHECK(workers_for(1e7) == available_processors());
}

TEST_CASE("of several parts that fail the first is heard, when all are over") {
  for (const std::size_t workers : {1, 4}) {
    std::vector<int> done(20, 0);
    std::string heard;
    try {
      in_parallel(done.size(), workers, [&](std::size_t part) {
        ++done[part];
        if (part % 7 == 5) {
          throw std::runtime_error("part " + std::to_string(part));
        }
      });
    } catch (const std::runtime_error& error) {
      heard = error.what();
    }
    CHECK(heard == "part 5");
    CHECK(done == std::vector<int>(20, 1));
  }
}

}  // namespace test_parallel
