#include <doctest/doctest.h>

#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_local_steps {

using doctest::Approx;

TEST_CASE("post-local SGD is synchronous up to its switch and local from there on") {
  // Ring of 4: 2 x 3/4 x 100 MB / 1.25 GB/s = 120 ms. Five steps of their own rings, then 4 + 4 + 2 steps.
  UpdateJob job = equal_workers(4, 10_ms, 100_MB, Synchronisation::kPostLocal);
  job.updates = 15;
  job.switch_at = 5;
  job.local_steps = 4;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.versions == 8);
  CHECK(times.total.value == Approx(15 * 0.01 + 8 * 0.12).epsilon(1e-9));
  CHECK(times.updates[4 * 4].steps == 1);
  CHECK(times.updates[5 * 4].steps == 4);
  CHECK(times.updates[7 * 4].steps == 2);
}

TEST_CASE("a switch behind the last update is synchronous, one at the first is local") {
  UpdateJob job = equal_workers(4, 10_ms, 100_MB, Synchronisation::kPostLocal);
  job.updates = 12;
  job.local_steps = 5;
  UpdateJob other = job;
  job.switch_at = 100;
  other.mode = Synchronisation::kAllReduce;
  CHECK(simulate_updates(job).total == simulate_updates(other).total);
  job.switch_at = 0;
  other.mode = Synchronisation::kLocalSteps;
  CHECK(simulate_updates(job).total == simulate_updates(other).total);
}

TEST_CASE("DiLoCo moves the parameters once in its steps") {
  UpdateJob job = equal_workers(8, 1_ms, 100_MB, Synchronisation::kDiloco);
  job.updates = 500;
  job.local_steps = 50;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.versions == 10);
  CHECK(times.sent[0].value == Approx(10 * 2.0 * 7 / 8 * 100e6));
}

}  // namespace test_local_steps
