#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "sim/learning/learn.hpp"
#include "sim/updates/simulate_updates.hpp"

using namespace trainyard;

namespace test_learn {

namespace {

using doctest::Approx;

UpdateJob job_of(int workers, int updates, Synchronisation mode) {
  const Nic nic{.bandwidth = {1e9}, .latency = {1e-5}};
  UpdateJob job{.parameters = {1e6}, .mode = mode, .updates = updates};
  job.workers.assign(static_cast<std::size_t>(workers), {.compute = {0.01}, .nic = nic});
  job.servers.assign(2, {.nic = nic});
  return job;
}

LearningCurve learnt(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job) {
  return learn(problem, options, job, simulate_updates(job));
}

// Each direction for itself: E x^2 = q^k + a^2 m (1 - q^k) / (1 - q), with q = (1 - a lambda)^2 and its noise's
// variance m.
double expected_loss(const Quadratic& quadratic, double rate, double samples, int steps) {
  const double variance = quadratic.noise * quadratic.noise / samples / quadratic.dimensions;
  double sum = 0.0;
  for (const double lambda : eigenvalues(quadratic)) {
    const double kept = std::pow(1.0 - rate * lambda, 2.0);
    const double left = std::pow(kept, steps);
    sum += 0.5 * lambda * (left + rate * rate * variance * (1.0 - left) / (1.0 - kept));
  }
  return sum;
}

}  // namespace

TEST_CASE("without noise synchronous SGD on the quadratic is the closed form") {
  CHECK(rc::check([] {
    const Quadratic quadratic{
        .dimensions = *rc::gen::inRange(1, 20), .condition = *rc::gen::inRange(10, 1000) / 10.0, .noise = 0.0};
    const double rate = *rc::gen::inRange(1, 19) / 10.0;
    const UpdateJob job = job_of(
        *rc::gen::inRange(1, 6), *rc::gen::inRange(1, 60),
        *rc::gen::element(Synchronisation::kSynchronous, Synchronisation::kBackupWorkers, Synchronisation::kAllReduce));
    const LearningCurve curve = learnt(make_problem(quadratic), {.learning_rate = rate}, job);
    RC_ASSERT(curve.points.size() == static_cast<std::size_t>(job.updates) + 1);
    for (const LearningPoint& point : curve.points) {
      const double expected = descent_loss(quadratic, rate, point.version);
      RC_ASSERT(std::abs(point.loss - expected) <= 1e-9 * expected + 1e-300);
    }
  }));
}

TEST_CASE("asynchronous gradients of a delay of one follow their recurrence") {
  // Two equal workers, one dimension, lambda 1, rate a: worker 0's first gradient is of version 0, worker 1's too; from
  // then on each is computed one version before it is applied: x_{k+1} = x_k - a x_{k-1}, and x_1 = 1 - a.
  const Quadratic quadratic{.dimensions = 1, .condition = 1.0, .noise = 0.0};
  UpdateJob job = job_of(2, 10, Synchronisation::kAsynchronous);
  job.workers[1].nic.latency = {2e-5};  // which of the two is first is no matter of rounding
  constexpr double kRate = 0.3;
  const LearningCurve curve = learnt(make_problem(quadratic), {.learning_rate = kRate}, job);
  REQUIRE(curve.points.size() == 21);
  double before = 1.0;
  double now = 1.0 - kRate;
  for (std::size_t k = 1; k <= 20; ++k) {
    CHECK(curve.points[k].loss == Approx(0.5 * now * now).epsilon(1e-9));
    const double next = now - kRate * before;
    before = now;
    now = next;
  }
}

TEST_CASE("the mean of noisy synchronous runs stays below the strongly convex bound") {
  // 200 runs of 4 workers of 8 samples: M = 4 / 32. A loss of ten directions varies by about half: their mean by 4 %.
  const Quadratic quadratic{.dimensions = 10, .condition = 10.0, .noise = 2.0};
  const LearningProblem problem = make_problem(quadratic);
  for (const double rate : {0.1, 0.5, 1.0}) {
    const UpdateJob job = job_of(4, 100, Synchronisation::kAllReduce);
    const UpdateTimes times = simulate_updates(job);
    std::vector<double> sums(101);
    constexpr int kRuns = 200;
    for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
      const LearningCurve curve = learn(problem, {.learning_rate = rate, .batch = 8, .seed = seed}, job, times);
      for (const LearningPoint& point : curve.points) {
        sums[static_cast<std::size_t>(point.version)] += point.loss / kRuns;
      }
    }
    for (int steps = 0; steps <= 100; ++steps) {
      CAPTURE(steps);
      CHECK(sums[static_cast<std::size_t>(steps)] <= strongly_convex_bound(quadratic, rate, 32.0, steps) * (1 + 1e-12));
    }
    CHECK(sums[100] == Approx(expected_loss(quadratic, rate, 32.0, 100)).epsilon(0.15));
  }
}

TEST_CASE("an average after every local step of SGD is a synchronous step") {
  const LearningProblem problem = make_problem(Classifier{.seed = 3});
  UpdateJob job = job_of(4, 40, Synchronisation::kAllReduce);
  const LearningCurve reduced = learnt(problem, {.learning_rate = 0.5}, job);
  job.mode = Synchronisation::kLocalSteps;
  const LearningCurve local = learnt(problem, {.learning_rate = 0.5}, job);
  job.mode = Synchronisation::kSynchronous;
  const LearningCurve served = learnt(problem, {.learning_rate = 0.5}, job);
  REQUIRE(reduced.points.size() == 41);
  REQUIRE(local.points.size() == 41);
  for (std::size_t k = 0; k < reduced.points.size(); ++k) {
    CHECK(local.points[k].loss == Approx(reduced.points[k].loss).epsilon(1e-9));
    CHECK(served.points[k].loss == Approx(reduced.points[k].loss).epsilon(1e-12));
  }
}

TEST_CASE("one local step is a synchronous step, and gossip on the complete graph averages, whatever the job") {
  CHECK(rc::check([] {
    const LearningProblem problem = make_problem(Quadratic{.dimensions = 4, .condition = 5.0});
    const int workers = *rc::gen::inRange(1, 7);
    UpdateJob job = job_of(workers, *rc::gen::inRange(1, 12), Synchronisation::kAllReduce);
    job.edges = edges_of(GraphKind::kComplete, workers);
    const LearningOptions options{.learning_rate = *rc::gen::inRange(1, 100) / 100.0,
                                  .batch = *rc::gen::inRange(1, 16),
                                  .seed = *rc::gen::arbitrary<std::uint64_t>()};
    const LearningCurve reduced = learnt(problem, options, job);
    for (const Synchronisation mode : {Synchronisation::kLocalSteps, Synchronisation::kGossip}) {
      job.mode = mode;
      const LearningCurve other = learnt(problem, options, job);
      for (std::size_t k = 0; k < reduced.points.size(); ++k) {
        RC_ASSERT(std::abs(other.points[k].loss - reduced.points[k].loss) <= 1e-9 * (1.0 + reduced.points[k].loss));
      }
    }
  }));
}

TEST_CASE("local steps of the quadratic without noise are as many steps") {
  const Quadratic quadratic{.noise = 0.0};
  UpdateJob job = job_of(3, 11, Synchronisation::kLocalSteps);
  job.local_steps = 4;
  const LearningCurve curve = learnt(make_problem(quadratic), {.learning_rate = 0.2}, job);
  REQUIRE(curve.points.size() == 4);
  CHECK(curve.points[2].loss == Approx(descent_loss(quadratic, 0.2, 8)).epsilon(1e-9));
  CHECK(curve.points[3].loss == Approx(descent_loss(quadratic, 0.2, 11)).epsilon(1e-9));
}

TEST_CASE("post-local SGD that never switches is synchronous, and that switches at once is local") {
  const LearningProblem problem = make_problem(Classifier{.seed = 3});
  UpdateJob job = job_of(4, 24, Synchronisation::kPostLocal);
  job.local_steps = 6;
  job.switch_at = 24;
  UpdateJob other = job;
  other.mode = Synchronisation::kAllReduce;
  CHECK(learnt(problem, {}, job).points.back().loss == Approx(learnt(problem, {}, other).points.back().loss));
  job.switch_at = 0;
  other.mode = Synchronisation::kLocalSteps;
  CHECK(learnt(problem, {}, job).points.back().loss == learnt(problem, {}, other).points.back().loss);
}

TEST_CASE("DiLoCo with plain steps inside and outside is local SGD; without, the outer step is Nesterov's") {
  const LearningProblem problem = make_problem(Classifier{.seed = 3});
  UpdateJob job = job_of(4, 24, Synchronisation::kDiloco);
  job.local_steps = 6;
  UpdateJob local = job;
  local.mode = Synchronisation::kLocalSteps;
  const DilocoOptions plain{.inner_rule = UpdateRule::kSgd, .outer_rate = 1.0, .outer_momentum = 0.0};
  CHECK(learnt(problem, {.diloco = plain}, job).points.back().loss ==
        Approx(learnt(problem, {}, local).points.back().loss).epsilon(1e-9));
  // One dimension, lambda 1, without noise, one inner step of rate a: the change is a x. With outer rate b and momentum
  // m: v = a x + m v, x -= b (a x + m v).
  const Quadratic quadratic{.dimensions = 1, .condition = 1.0, .noise = 0.0};
  UpdateJob single = job_of(2, 5, Synchronisation::kDiloco);
  const DilocoOptions outer{
      .inner_rule = UpdateRule::kSgd, .inner_rate = 0.2, .outer_rate = 0.7, .outer_momentum = 0.9};
  const LearningCurve curve = learnt(make_problem(quadratic), {.diloco = outer}, single);
  double x = 1.0;
  double v = 0.0;
  for (std::size_t step = 1; step <= 5; ++step) {
    v = 0.2 * x + 0.9 * v;
    x -= 0.7 * (0.2 * x + 0.9 * v);
    CHECK(curve.points[step].loss == Approx(0.5 * x * x).epsilon(1e-9));
  }
}

TEST_CASE("a federation of all clients with one local step is synchronous") {
  CHECK(rc::check([] {
    const LearningProblem problem = make_problem(Classifier{.seed = 5});
    UpdateJob job = job_of(*rc::gen::inRange(1, 6), 10, Synchronisation::kFederated);
    job.servers.resize(1);
    job.federation.share = 1.0;
    const LearningCurve federated = learnt(problem, {.learning_rate = 0.5}, job);
    job.mode = Synchronisation::kSynchronous;
    const LearningCurve synchronous = learnt(problem, {.learning_rate = 0.5}, job);
    for (std::size_t k = 0; k < synchronous.points.size(); ++k) {
      RC_ASSERT(std::abs(federated.points[k].loss - synchronous.points[k].loss) < 1e-9);
    }
  }));
}

TEST_CASE("clients weigh what their data do") {
  // Without noise: one client makes 3 steps, the other 1, of weights 3 and 1.
  const Quadratic quadratic{.dimensions = 1, .condition = 1.0, .noise = 0.0};
  UpdateJob job = job_of(2, 2, Synchronisation::kFederated);
  job.servers.resize(1);
  job.federation = {.share = 1.0, .data = {3.0, 1.0}};
  job.local_steps = 2;
  const LearningCurve curve = learnt(make_problem(quadratic), {.learning_rate = 0.5}, job);
  const double x = 0.75 * std::pow(0.5, 3.0) + 0.25 * 0.5;
  CHECK(curve.points.back().loss == Approx(0.5 * x * x));
}

TEST_CASE("gossip on the complete graph is averaging, and on others comes to the same optimum") {
  const LearningProblem problem = make_problem(Classifier{.seed = 3});
  for (const int workers : {1, 2, 5}) {
    UpdateJob job = job_of(workers, 20, Synchronisation::kGossip);
    job.edges = edges_of(GraphKind::kComplete, workers);
    const LearningCurve gossip = learnt(problem, {.learning_rate = 0.5}, job);
    job.mode = Synchronisation::kAllReduce;
    const LearningCurve reduced = learnt(problem, {.learning_rate = 0.5}, job);
    for (std::size_t k = 0; k < reduced.points.size(); ++k) {
      CHECK(gossip.points[k].loss == Approx(reduced.points[k].loss).epsilon(1e-9));
    }
  }
  // The mean of all is not moved by doubly stochastic weights: without noise the loss is that of plain descent.
  const Quadratic quadratic{.noise = 0.0};
  UpdateJob ring = job_of(6, 30, Synchronisation::kGossip);
  ring.edges = edges_of(GraphKind::kRing, 6);
  CHECK(learnt(make_problem(quadratic), {.learning_rate = 0.2}, ring).points.back().loss ==
        Approx(descent_loss(quadratic, 0.2, 30)).epsilon(1e-9));
}

TEST_CASE("classifiers learn their classes under every rule") {
  const UpdateJob job = job_of(4, 300, Synchronisation::kSynchronous);
  for (const auto& [rule, rate] : {std::pair{UpdateRule::kSgd, 1.0},
                                   {UpdateRule::kMomentum, 0.1},
                                   {UpdateRule::kNesterov, 0.1},
                                   {UpdateRule::kAdam, 0.01},
                                   {UpdateRule::kAdamw, 0.01}}) {
    for (const Classifier& classifier :
         {Classifier{.layers = {10, 2}}, Classifier{.activation = HiddenActivation::kRelu}, Classifier{}}) {
      const LearningCurve curve = learnt(make_problem(classifier), {.rule = rule, .learning_rate = rate}, job);
      CAPTURE(kUpdateRuleNames.name_of(rule));
      CAPTURE(classifier.layers.size());
      CHECK(curve.points.back().loss < 0.6 * curve.points.front().loss);
      // Centres of two of three classes are never close in these seeds: a guess would be right in 33 or 50 %.
      CHECK(*curve.points.back().accuracy > 0.8);
    }
  }
}

TEST_CASE("a rate that is too high diverges and says so") {
  const LearningCurve curve =
      learnt(make_problem(Quadratic{}), {.learning_rate = 100.0}, job_of(2, 1000, Synchronisation::kSynchronous));
  CHECK(curve.diverged);
  CHECK(std::isfinite(curve.points.back().loss));
}

TEST_CASE("the time to a loss is that of the first point at it") {
  const LearningCurve curve{.points = {{.time = 1_s, .loss = 3.0}, {.time = 2_s, .loss = 1.0}, {.time = 3_s}}};
  CHECK(time_to_loss(curve, 2.0) == Seconds{2.0});
  CHECK(time_to_loss(curve, 1.0) == Seconds{2.0});
  CHECK_FALSE(time_to_loss(curve, -1.0).has_value());
}

}  // namespace test_learn
