// The scale verb, as a user runs it.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/csv.hpp"
#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_scale_verb {

using Document = nlohmann::json;

namespace {

const std::string kJob = "--model gpt2 --cluster dgx-a100 --gpus 16 --global-batch 32 --network analytic";

Document scaled(const std::string& more) {
  const Outcome outcome = trainyard_line("scale " + kJob + " " + more + " --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

}  // namespace

TEST_CASE("text, JSON, table and picture tell of every point") {
  const ScratchFolder scratch;
  const std::string csv = (scratch.path / "points.csv").string();
  const std::string plot = (scratch.path / "points.svg").string();
  const std::string json = (scratch.path / "points.json").string();
  const Outcome outcome = trainyard_line("scale " + kJob + " --scale-gpus 1,3,4,16 --worth 1 --csv " + csv +
                                         " --plot " + plot + " --json " + json);
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out.find("strong scaling") != std::string::npos);
  CHECK(outcome.out.find("knee at 1 GPUs") != std::string::npos);
  CHECK(outcome.out.find("reason: ") != std::string::npos);
  const Document document = Document::parse(content_of(json));
  const Document& points = document.at("curves").at(0).at("points");
  REQUIRE(points.size() == 4);
  CHECK(points[0].at("efficiency") == 1.0);
  CHECK_FALSE(points[1].at("refused").get<std::string>().empty());  // 32 samples on 3 replicas
  CHECK(document.at("curves").at(0).at("knee").at("gpus") == 1);
  const CsvTable table = CsvTable::read(csv);
  CHECK(table.rows() == 4);
  CHECK(*table.number(2, "step_time_s") == points[2].at("step_time_s").get<double>());
  CHECK_FALSE(table.text(1, "refused").empty());
  CHECK(table.flag(0, "is_knee") == true);
  CHECK(content_of(plot).find("<title>knee: ") != std::string::npos);
  CHECK(scratch.entries() == 3);
}

TEST_CASE("a batch for each curve, and the time to a target with its interval") {
  const Document document = scaled("--batches 32,64 --critical-batch 64 --samples 1000000");
  REQUIRE(document.at("curves").size() == 2);
  for (const Document& curve : document.at("curves")) {
    for (const Document& point : curve.at("points")) {
      // 1e6 (1 + 32 / 64) = 1.5e6 samples, 2e6 with 64.
      const double samples = point.at("global_batch") == 32 ? 1.5e6 : 2e6;
      const double time = point.at("target").at("time_s");
      CHECK(time == doctest::Approx(samples / point.at("samples_per_s").get<double>()));
      CHECK(point.at("target").at("uncertainty").at("low_s") < time);
    }
  }
  const Document published = scaled("--statistics gpt3");
  CHECK(published.at("statistics").at("critical_batch").get<double>() > 1000.0);
  // The interval of the step, and beyond it how far the published samples are from their fit.
  const Document& point = published.at("curves").at(0).at("points").at(0);
  const double step = point.at("step_time_s");
  const double time = point.at("target").at("time_s");
  const double of_step = point.at("uncertainty").at("low_s").get<double>() / step;
  const double of_target = point.at("target").at("uncertainty").at("low_s").get<double>() / time;
  CHECK(of_target < of_step);
  CHECK(of_target > of_step / 1.1);
}

TEST_CASE("a scenario file is scaled beyond its own replicas") {
  const ScratchFolder scratch;
  const std::string file = scratch.file(
      "job.json", R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 2, "network": "analytic", "layout": {"dp": 2},
                      "training": {"global_batch": 8}})");
  const Outcome outcome = trainyard_line("scale " + file + " --scale-gpus 2,4,8 --scaling weak --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.find("dp is that of the job") != std::string::npos);
  const Document points = Document::parse(outcome.out).at("curves").at(0).at("points");
  CHECK(points[2].at("dp") == 8);
  CHECK(points[2].at("global_batch") == 32);
}

TEST_CASE("what cannot be asked is refused with its option") {
  for (const auto& [more, option] :
       {std::pair("--scale-gpus 8,4", "--scale-gpus"), std::pair("--scale-gpus 8,,16", "--scale-gpus"),
        std::pair("--scale-gpus 0", "--scale-gpus"), std::pair("--scaling sideways", "--scaling"),
        std::pair("--worth 0", "--worth"), std::pair("--worth 1.5", "--worth"), std::pair("--worth nan", "--worth"),
        std::pair("--batches many", "--batches"), std::pair("--critical-batch -3 --samples 5", "--critical-batch"),
        std::pair("--critical-batch 3 --samples 0", "--samples"), std::pair("--critical-batch 3", "--samples"),
        std::pair("--statistics gpt9", "--statistics"), std::pair("--set trainig.seq_len=3", "trainig"),
        std::pair("--statistics gpt3 --samples 5 --critical-batch 3", "--statistics")}) {
    CAPTURE(more);
    const Outcome outcome = trainyard_line("scale " + kJob + " " + more);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.find(option) != std::string::npos);
  }
}

TEST_CASE("a sweep without a point ends with exit code 3 and the reasons, and writes nothing") {
  const ScratchFolder scratch;
  const Outcome outcome = trainyard_line("scale " + kJob + " --tp 5 --csv " + (scratch.path / "points.csv").string());
  CHECK(outcome.code == 3);
  CHECK(outcome.out.empty());
  CHECK(outcome.err.find("must be divisible by tp") != std::string::npos);
  CHECK(scratch.entries() == 0);
}

TEST_CASE("the help of scale shows a command") {
  CHECK(trainyard_line("scale --help").out.find("trainyard scale --model") != std::string::npos);
}

}  // namespace test_scale_verb
