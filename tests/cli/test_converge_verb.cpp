// The converge verb, as a user runs it.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_converge_verb {

using Document = nlohmann::json;

namespace {

using doctest::Approx;

const std::string kWorkers = "converge --workers 4 --parameters 100MB --bandwidth 10Gb/s --latency 0s ";
const std::string kStated = kWorkers + "--compute 100ms --updates 20 ";

Document answer_of(const std::string& line) {
  const Outcome outcome = trainyard_line(line + " --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

}  // namespace

TEST_CASE("every mode is a row of the answer") {
  // One server of 1.25 GB/s: 4 x 80 ms in and as much out; a ring moves 2 x 3/4 x 80 ms; five rounds of four steps.
  const Document answer = answer_of(kStated + "--sync synchronous,all-reduce,local-steps --local-steps 4");
  const Document& modes = answer.at("modes");
  REQUIRE(modes.size() == 3);
  CHECK(modes[0].at("time_s").get<double>() == Approx(20 * (0.1 + 0.64)));
  CHECK(modes[1].at("time_s").get<double>() == Approx(20 * (0.1 + 0.12)));
  CHECK(modes[2].at("time_s").get<double>() == Approx(20 * 0.1 + 5 * 0.12));
  CHECK(modes[0].at("loss").get<double>() == Approx(modes[1].at("loss").get<double>()).epsilon(1e-12));
  CHECK(modes[0].at("curve").size() == 21);
  CHECK(modes[0].at("curve")[0].contains("bound"));
  CHECK_FALSE(modes[2].at("curve")[0].contains("bound"));
  CHECK(answer.at("question").at("seed") == 0);
}

TEST_CASE("histograms of staleness count every gradient") {
  const Document answer = answer_of(kStated + "--sync asynchronous --slowdown 2=3 --jitter 0.2");
  const Document& mode = answer.at("modes")[0];
  const auto sum_of = [](const Document& counts) {
    int sum = 0;
    for (const Document& count : counts) {
      sum += count.get<int>();
    }
    return sum;
  };
  CHECK(sum_of(mode.at("staleness")) == 80);
  int of_workers = 0;
  for (const Document& worker : mode.at("workers")) {
    of_workers += sum_of(worker.at("staleness"));
  }
  CHECK(of_workers == 80);
}

TEST_CASE("curves are written as a table and as a picture") {
  const ScratchFolder scratch;
  const std::string csv = (scratch.path / "loss.csv").string();
  const std::string svg = (scratch.path / "loss.svg").string();
  const Outcome outcome = trainyard_line(kStated + "--problem perceptron --csv " + csv + " --plot " + svg);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("perceptron by 4 workers") != std::string::npos);
  // A header, and of the synchronous mode 21 points, of the asynchronous one 81.
  const std::string table = content_of(csv);
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 21 + 81);
  CHECK(content_of(svg).starts_with("<svg"));
}

TEST_CASE("a model on a cluster says what a worker's iteration takes") {
  // 124,439,808 parameters of gpt2, four bytes each.
  const Document answer =
      answer_of("converge --workers 2 --model gpt2 --cluster dgx-a100 --batch 4 --updates 3 --sync all-reduce");
  CHECK(answer.at("question").at("parameter_bytes").get<double>() == 4.0 * 124439808);
  const Outcome run = trainyard_line("run --model gpt2 --cluster dgx-a100 --gpus 1 --global-batch 4 --json -");
  CHECK(answer.at("question").at("compute_s").get<double>() ==
        Approx(Document::parse(run.out).at("step_time_s").get<double>()).epsilon(1e-9));
}

TEST_CASE("a loss that leaves the numbers is said, not printed") {
  const Outcome outcome = trainyard_line(kWorkers + "--compute 1ms --learning-rate 1e9");
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("diverged") != std::string::npos);
  CHECK(outcome.out.find("nan") == std::string::npos);
  CHECK(outcome.out.find("inf") == std::string::npos);
}

TEST_CASE("what cannot be, and what would change nothing, is refused") {
  struct Mistake {
    std::string line;
    std::vector<std::string> fragments;
    int code = 2;
  };
  const std::vector<Mistake> mistakes = {
      {kStated + "--servers 0", {"in: --servers", "found: \"0\"", "allowed: 1 to 4"}},
      {kStated + "--dedicated-servers 0", {"in: --dedicated-servers"}},
      {kStated + "--sync backup-workers --backup 4", {"in: --backup", "found: \"4\"", "allowed: 0 to 3"}},
      {kStated + "--sync stale-synchronous --bound -1", {"in: --bound", "found: \"-1\"", "allowed: 0 to "}},
      {kStated + "--sync local-steps --local-steps 0", {"in: --local-steps", "allowed: 1 to "}},
      {kStated + "--sync asynchronos", {"in: --sync", "did you mean: asynchronous"}},
      {kStated + "--sync asynchronous,asynchronous", {"in: --sync", "named twice"}},
      {kStated + "--slowdown 4=2", {"in: --slowdown", "found: \"4\"", "allowed: 0 to 3"}},
      {kStated + "--slowdown 1:2", {"in: --slowdown", "found: 1:2", "worker=factor"}},
      {kStated + "--slowdown 1=2,1=3", {"in: --slowdown", "named twice"}},
      {kStated + "--slowdown 1=0", {"in: --slowdown", "out of range"}},
      {kStated + "--jitter many", {"in: --jitter", "expected a number"}},
      {kStated + "--problem perceptrn", {"in: --problem", "did you mean: perceptron"}},
      {kStated + "--optimizer adm", {"in: --optimizer", "did you mean: adam"}},
      {kStated + "--learning-rate 0", {"in: --learning-rate"}},
      {kStated + "--bound 3", {"in: --bound", "change nothing", "add --sync stale-synchronous"}},
      {kStated + "--activation relu", {"in: --activation", "change nothing"}},
      {kStated + "--sync all-reduce --servers 2", {"in: --servers", "change nothing"}},
      {kStated + "--csv -", {"in: --csv"}},
      {kWorkers, {"no --compute"}},
      {kWorkers + "--compute 100", {"in: --compute", "found: \"100\"", "ms"}},
      {kWorkers + "--compute 1s --model gpt2", {"in: --compute", "say this already"}},
      {"converge --workers 2 --model gpt2", {"no --cluster"}},
      {"converge --workers 2 --model gtp2 --cluster dgx-a100", {"in: --model", "did you mean: gpt2"}},
      {"converge --workers 2 --compute 1ms --parameters 0B --bandwidth 1GB/s", {"in: --parameters"}},
      {"converge --workers 2 --compute 1ms --parameters 1B --bandwidth 0GB/s", {"in: --bandwidth"}},
      {"converge --workers 0 --compute 1ms --parameters 1B --bandwidth 1GB/s", {"in: --workers"}},
      {"converge --workers 5000 --servers 5000 --compute 1ms --parameters 1MB --bandwidth 1GB/s",
       {"would run away", "in: --updates"}},
      {"converge --workers 2 --model gpt3-175b --cluster dgx-a100", {"does not fit", "a worker is one GPU"}, 3}};
  for (const Mistake& mistake : mistakes) {
    const Outcome outcome = trainyard_line(mistake.line);
    CAPTURE(mistake.line);
    CAPTURE(outcome.err);
    CHECK(outcome.code == mistake.code);
    CHECK(outcome.out.empty());
    for (const std::string& fragment : mistake.fragments) {
      CAPTURE(fragment);
      CHECK(outcome.err.find(fragment) != std::string::npos);
    }
  }
}

}  // namespace test_converge_verb
