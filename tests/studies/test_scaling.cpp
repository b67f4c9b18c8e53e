#include <doctest/doctest.h>

#include "sim/predict/answer.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/studies/scaling.hpp"

using namespace trainyard;

namespace test_scaling {

namespace {

ScalingPoint point(std::int64_t gpus, double samples_per_second) {
  ScalingPoint out{.gpus = gpus, .global_batch = 100};
  out.step = Seconds{100.0 / samples_per_second};
  out.samples_per_second = samples_per_second;
  return out;
}

Json small_job() {
  return parse_json(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 32, "network": "analytic",
                        "layout": {"tp": 2}, "training": {"global_batch": 64, "micro_batch": 2}})",
                    "job.json");
}

ScalingStudy study(const Json& document, const ScalingQuestion& question) {
  return study_scaling({document, "job.json"}, read_job(document, "job.json"), question);
}

std::vector<std::int64_t> gpus_of(const ScalingCurve& curve) {
  std::vector<std::int64_t> out;
  for (const ScalingPoint& one : curve.points) {
    out.push_back(one.gpus);
  }
  return out;
}

}  // namespace

TEST_CASE("the knee of a made-up curve is where GPUs added bring less than they are worth") {
  // 10 samples/s of each of the first 8 GPUs. 8 to 16: 70 / 8 = 8.75 of each, 87.5 %; 16 to 32: 80 / 16 = 5, 50 %;
  // 32 to 64: 64 / 32 = 2, 20 %.
  std::vector<ScalingPoint> points = {point(8, 80.0), point(16, 150.0), point(32, 230.0), point(64, 294.0)};
  compare_points(points, std::nullopt);
  CHECK(points[0].efficiency == 1.0);
  CHECK_FALSE(points[0].marginal.has_value());
  CHECK(points[1].efficiency == doctest::Approx(150.0 / 160.0));
  CHECK(*points[1].marginal == doctest::Approx(0.875));
  CHECK(*points[2].marginal == doctest::Approx(0.5));
  CHECK(*points[3].marginal == doctest::Approx(0.2));
  CHECK(knee_of(points, 0.45, std::nullopt)->point == 2);
  CHECK(knee_of(points, 0.45, std::nullopt)->next == 3);
  CHECK(knee_of(points, 0.6, std::nullopt)->point == 1);
  CHECK_FALSE(knee_of(points, 0.1, std::nullopt).has_value());
}

TEST_CASE("a price that is paid once is no knee where what follows makes up for it") {
  // 8 to 16 brings 24 / 8 = 3 of each GPU added, 30 %; 16 to 32 76 / 16, 47.5 %; 32 to 64 320 / 32 = 10: from 8 to 64
  // 420 / 56 = 7.5, 75 %.
  std::vector<ScalingPoint> points = {point(8, 80.0), point(16, 104.0), point(32, 180.0), point(64, 500.0)};
  compare_points(points, std::nullopt);
  CHECK(*points[1].marginal == doctest::Approx(0.3));
  CHECK_FALSE(knee_of(points, 0.5, std::nullopt).has_value());
  points.pop_back();
  CHECK(knee_of(points, 0.5, std::nullopt)->point == 0);
  CHECK(knee_of(points, 0.5, std::nullopt)->next == 1);
}

TEST_CASE("points without an answer are passed over") {
  std::vector<ScalingPoint> points = {point(4, 1.0), point(8, 80.0), point(16, 1.0), point(32, 100.0)};
  points[0].refused = points[2].refused = "does not fit in memory";
  compare_points(points, std::nullopt);
  CHECK(points[1].efficiency == 1.0);
  // 20 / 24 of each GPU added, over 10.
  CHECK(*points[3].marginal == doctest::Approx(20.0 / 240.0));
  const std::optional<Knee> knee = knee_of(points, 0.5, std::nullopt);
  REQUIRE(knee.has_value());
  CHECK(knee->point == 1);
  CHECK(knee->next == 3);
}

TEST_CASE("what grew is ranked, and sums to what a sample costs more") {
  std::vector<ScalingPoint> points = {point(8, 80.0), point(16, 100.0)};
  // A step of 100 samples: 1.25 s, all compute; and 1 s of 0.625 s compute, 0.3 s exposed, 0.075 s host.
  points[0].breakdown.compute = Seconds{1.25};
  points[1].breakdown.compute = Seconds{0.625};
  points[1].breakdown.exposed_dp = Seconds{0.3};
  points[1].breakdown.host = Seconds{0.075};
  compare_points(points, std::nullopt);
  const Knee knee = *knee_of(points, 0.5, std::nullopt);
  CHECK(knee.growth.front().part == "exposed_dp");
  CHECK(knee.growth.front().gpu_seconds_per_sample == doctest::Approx(16.0 * 0.3 / 100.0));
  CHECK(knee.growth[1].part == "host");
  double sum = 0.0;
  for (const CostGrowth& one : knee.growth) {
    sum += one.gpu_seconds_per_sample;
  }
  CHECK(sum == doctest::Approx(16.0 * 1.0 / 100.0 - 8.0 * 1.25 / 100.0));
}

TEST_CASE("linear throughput of growing batches has a knee of statistics") {
  const BatchStatistics statistics{.least_samples = 1e6, .critical_batch = 100.0};
  std::vector<ScalingPoint> points = {point(8, 80.0), point(16, 160.0), point(32, 320.0)};
  for (ScalingPoint& one : points) {
    one.global_batch = one.gpus * 10;
    one.step = Seconds{1.0};
    one.breakdown.compute = Seconds{1.0};
  }
  compare_points(points, statistics);
  CHECK(points[2].efficiency == doctest::Approx(1.0));  // of throughput
  // Useful samples: 80 / 1.8 = 44.4, 160 / 2.6 = 61.5, 320 / 4.2 = 76.2; of each of the first GPUs 5.56, of those added
  // 2.14 and 0.92.
  CHECK(*points[1].marginal == doctest::Approx((160.0 / 2.6 - 80.0 / 1.8) / 8.0 / (80.0 / 1.8 / 8.0)));
  const Knee knee = *knee_of(points, 0.5, statistics);
  CHECK(knee.point == 0);
  CHECK(knee.growth.front().part == "statistics");
  // A tenth of a GPU-second a sample, times 2.6 - 1.8.
  CHECK(knee.growth.front().gpu_seconds_per_sample == doctest::Approx(0.08));
}

TEST_CASE("a sweep doubles from the layout's fewest GPUs to the job's, and each point is what run answers") {
  const Json document = small_job();
  const ScalingStudy result = study(document, {});
  REQUIRE(result.curves.size() == 1);
  const ScalingCurve& curve = result.curves.front();
  CHECK(gpus_of(curve) == std::vector<std::int64_t>{2, 4, 8, 16, 32});
  CHECK(curve.points.front().efficiency == 1.0);
  for (const ScalingPoint& one : curve.points) {
    CAPTURE(one.gpus);
    REQUIRE(one.answered());
    CHECK(one.global_batch == 64);
    CHECK(one.dp == one.gpus / 2);
    Json own = document;
    own["gpus"] = one.gpus;
    const Report report = answer(read_scenario(own, "job.json")).report;
    CHECK(one.step.value == report.step.value);
    CHECK(one.memory.value == report.memory.peak.value);
    CHECK(one.breakdown.total().value == doctest::Approx(one.step.value));
    CHECK(one.samples_per_second == doctest::Approx(64.0 / one.step.value));
  }
}

TEST_CASE("where communication is a thousandth of the step, strong scaling is linear to a few thousandths") {
  Json document = small_job();
  document["gpus"] = 8;
  document["layout"]["tp"] = 1;
  document["training"]["global_batch"] = 2048;
  document["training"]["micro_batch"] = 8;
  const ScalingStudy result = study(document, {});
  const ScalingPoint& last = result.curves.front().points.back();
  REQUIRE(last.gpus == 8);
  REQUIRE(last.breakdown.exposed_dp / last.step < 0.01);
  CHECK(last.efficiency > 0.98);
  CHECK(last.efficiency <= 1.0);
  CHECK_FALSE(result.curves.front().knee.has_value());
}

TEST_CASE("weak scaling keeps a replica's samples, and meets strong scaling at the job itself") {
  const Json document = small_job();  // 16 replicas of 4 samples
  const ScalingStudy weak = study(document, {.scaling = Scaling::kWeak});
  for (const ScalingPoint& one : weak.curves.front().points) {
    CHECK(one.global_batch == one.dp * 4);
  }
  const ScalingStudy strong = study(document, {});
  CHECK(weak.curves.front().points.back().step.value == strong.curves.front().points.back().step.value);
}

TEST_CASE("a replica's share of the batch has to be whole") {
  CHECK_THROWS_AS(study(small_job(), {.scaling = Scaling::kWeak, .batches = {24}}), UserError);
}

TEST_CASE("points that are not legal, or do not fit, say why") {
  const ScalingStudy odd = study(small_job(), {.gpus = {3, 8, 24}});
  const std::vector<ScalingPoint>& points = odd.curves.front().points;
  CHECK(points[0].refused.find("must divide the number of GPUs") != std::string::npos);
  CHECK(points[1].answered());
  CHECK_FALSE(points[2].answered());  // 64 samples in micro-batches of 2 on 12 replicas
  Json large = small_job();
  large["model"] = "llama-2-70b";
  const ScalingStudy full = study(large, {.gpus = {8}});
  CHECK(full.curves.front().points.front().refused == "does not fit in memory");
  CHECK_FALSE(full.any_answered());
}

TEST_CASE("the fewest GPUs hold the experts' layout too") {
  const Json document = parse_json(R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 16,
      "layout": {"tp": 1, "ep": 4, "etp": 1}, "training": {"global_batch": 16}})",
                                   "job.json");
  CHECK(default_ladder(read_job(document, "job.json")) == std::vector<std::int64_t>{4, 8, 16});
}

TEST_CASE("too many points are refused") {
  ScalingQuestion question;
  for (std::int64_t i = 1; i <= static_cast<std::int64_t>(kMostScalingPoints) + 1; ++i) {
    question.gpus.push_back(2 * i);
  }
  CHECK_THROWS_AS(study(small_job(), question), UserError);
}

}  // namespace test_scaling
