#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>

#include "sim/base/fork_pool.hpp"

using namespace trainyard;

namespace test_fork_pool {

TEST_CASE("tasks answer in order, whatever the number of workers") {
  for (const std::size_t workers : {1, 2, 7}) {
    const auto results = run_in_children(20, workers, [](std::size_t task) { return std::to_string(task * task); });
    REQUIRE(results.size() == 20);
    for (std::size_t task = 0; task < results.size(); ++task) {
      CHECK(results[task] == std::to_string(task * task));
    }
  }
}

TEST_CASE("a task that dies or throws costs one answer") {
  const auto results = run_in_children(4, 2, [](std::size_t task) -> std::string {
    if (task == 1) {
      std::raise(SIGKILL);
    }
    if (task == 2) {
      ::_exit(3);
    }
    return "alive";
  });
  CHECK(results[0] == "alive");
  CHECK_FALSE(results[1].has_value());
  CHECK_FALSE(results[2].has_value());
  CHECK(results[3] == "alive");
}

TEST_CASE("an answer may be larger than a pipe holds, or empty") {
  const auto results =
      run_in_children(2, 2, [](std::size_t task) { return std::string(task == 0 ? 3'000'000 : 0, 'x'); });
  REQUIRE(results[0].has_value());
  CHECK(results[0]->size() == 3'000'000);
  REQUIRE(results[1].has_value());
  CHECK(results[1]->empty());
}

TEST_CASE("children share nothing with each other or with their parent") {
  int counter = 0;
  const auto results = run_in_children(3, 1, [&counter](std::size_t /*task*/) { return std::to_string(++counter); });
  for (const auto& result : results) {
    CHECK(result == "1");
  }
  CHECK(counter == 0);
}

TEST_CASE("no task, no answer") {
  CHECK(run_in_children(0, 2, [](std::size_t /*task*/) { return std::string(); }).empty());
  CHECK(available_processors() >= 1);
}

}  // namespace test_fork_pool
