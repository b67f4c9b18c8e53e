#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_other_verbs {

using Document = nlohmann::json;

TEST_CASE("help comes from every verb and ends well") {
  for (const std::string line :
       {"--help", "run --help", "compare --help", "memory --help", "show --help", "list --help", "list models --help",
        "collective --help", "topology --help", "validate --help", "validate runs --help", "calibrate --help"}) {
    CAPTURE(line);
    const Outcome outcome = trainyard_line(line);
    CHECK(outcome.code == 0);
    CHECK(outcome.out.find("--help") != std::string::npos);
    CHECK(outcome.err.empty());
  }
}

TEST_CASE("the version is one line, of the whole program alone") {
  const Outcome outcome = trainyard_line("--version");
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.find("trainyard ") == 0);
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '.') == 2);  // major, minor, patch
  CHECK(outcome.out.back() == '\n');
  CHECK(trainyard_line("run --version").code == 2);
}

TEST_CASE("every catalogue is listed, a line and a JSON object for each entry") {
  for (const std::string kind : {"models", "clusters", "gpus", "frameworks", "schedules", "topologies", "algorithms"}) {
    CAPTURE(kind);
    const Outcome text = trainyard_line("list " + kind);
    const Outcome json = trainyard_line("list " + kind + " --json -");
    REQUIRE(text.code == 0);
    REQUIRE(json.code == 0);
    const Document entries = Document::parse(json.out).at(kind);
    CHECK(entries.size() >= 3);
    CHECK(static_cast<std::size_t>(std::count(text.out.begin(), text.out.end(), '\n')) == entries.size());
    for (const Document& entry : entries) {
      CHECK(text.out.find(entry.at("name").get<std::string>()) != std::string::npos);
    }
  }
  const Document models = Document::parse(trainyard_line("list models --json -").out).at("models");
  for (const Document& model : models) {
    if (model.at("name") == "gpt2") {
      CHECK(model.at("parameters") == 124'439'808);  // Radford et al. 2019, as Hugging Face counts it
    }
  }
}

TEST_CASE("memory is shown for a layout that fits and for one that does not") {
  const std::string line = "memory --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --global-batch 64 --pp ";
  const Outcome fits = trainyard_line(line + "8");
  CHECK(fits.code == 0);
  CHECK(fits.out.find("parameters") != std::string::npos);
  CHECK(fits.out.find("stage 7") != std::string::npos);
  const Outcome full = trainyard_line(line + "1");
  CHECK(full.code == 0);
  CHECK(full.out.find("DOES NOT FIT") != std::string::npos);
  const Document json = Document::parse(trainyard_line(line + "1 --json -").out);
  CHECK(json.at("fits") == false);
  CHECK(json.at("per_stage").size() == 1);
  CHECK(json.at("peak_bytes") > json.at("capacity_bytes"));
}

TEST_CASE("a collective is shown as nccl-tests shows it") {
  const ScratchFolder scratch;
  const std::string plot = scratch.path / "p.svg";
  const std::string line = "collective --op all_reduce --cluster dgx-a100 --gpus 8 --sizes 1M:4M ";
  const Outcome text = trainyard_line(line + "--plot " + plot);
  REQUIRE(text.code == 0);
  CHECK(text.out.find("busbw") != std::string::npos);
  CHECK(content_of(plot).find("<svg") != std::string::npos);
  const Document results = Document::parse(trainyard_line(line + "--json -").out).at("results");
  REQUIRE(results.size() == 3);
  CHECK(results[2].at("size_bytes") == 4.0 * 1048576.0);
  CHECK(results[2].at("time_s") > results[0].at("time_s"));
  const Document all = Document::parse(trainyard_line(line + "--all --json -").out).at("results");
  CHECK(all.size() > results.size());
}

TEST_CASE("a fabric is described and drawn, with a path when asked") {
  const ScratchFolder scratch;
  const std::string svg = scratch.path / "f.svg";
  const Outcome text = trainyard_line("topology dgx-a100 --gpus 16 --path 0:9 --svg " + svg);
  CAPTURE(text.err);
  REQUIRE(text.code == 0);
  CHECK(text.out.find("gpu 1 of node 1") != std::string::npos);  // GPU 9 is the second of the second node
  CHECK(content_of(svg).find("<svg") != std::string::npos);
  CHECK(Document::parse(trainyard_line("topology dgx-a100 --gpus 16 --json -").out).is_object());
}

TEST_CASE("validate scores a table of runs and writes what reports read") {
  // One row states everything, one lacks its batch and is skipped with the reason.
  const ScratchFolder scratch;
  const std::string table = scratch.file(
      "runs.csv",
      "id,gpu,num_gpus,cluster,framework_profile,model,arch,layers,hidden,heads,vocab,seq_len,tp,pp,dp,zero_stage,"
      "sequence_parallel,micro_batch,global_batch,precision,recompute,measured_step_s,oom\n"
      "whole,a100-80,8,dgx-a100,megatron-core,tiny,gpt,4,1024,16,50304,1024,1,1,8,1,0,1,8,bf16,none,0.05,0\n"
      "partial,a100-80,8,dgx-a100,megatron-core,tiny,gpt,4,1024,16,50304,1024,1,1,8,1,0,,,bf16,none,0.05,0\n");
  const std::string accuracy = scratch.path / "accuracy.json";
  const Outcome outcome =
      trainyard_line("validate runs " + table + " --network analytic --json - --write-accuracy " + accuracy);
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  const Document scores = Document::parse(outcome.out);
  CHECK(scores.at("files")[0].at("rows") == 2);
  CHECK(scores.at("files")[0].at("simulated") == 1);
  CHECK(scores.at("files")[0].at("skipped") == 1);
  const Document& row = scores.at("rows")[0];
  const double error = row.at("predicted").get<double>() / 0.05 - 1.0;
  CHECK(row.at("error").get<double>() == doctest::Approx(error));
  // With one row its error is every quantile.
  const Document family = Document::parse(content_of(accuracy)).at("families")[0];
  CHECK(family.at("framework") == "megatron-core");
  CHECK(family.at("rows") == 1);
  CHECK(family.at("tables")[0] == "runs.csv");
  CHECK(family.at("p90_abs_error").get<double>() == doctest::Approx(std::abs(error)));
  CHECK(family.at("bias").get<double>() == doctest::Approx(error));
}

TEST_CASE("compare explains the slower layouts against the fastest") {
  const ScratchFolder folder;
  const auto scenario = [&](const char* name, int tp, int pp) {
    const Document document = {{"model", "gpt2"},
                               {"cluster", "dgx-a100"},
                               {"gpus", 8},
                               {"layout", {{"tp", tp}, {"pp", pp}}},
                               {"training", {{"micro_batch", 1}, {"global_batch", 16}}}};
    return folder.file(name, document.dump());
  };
  const std::string deep = scenario("deep.json", 1, 4);
  const std::string flat = scenario("flat.json", 2, 1);
  const Outcome outcome = trainyard_line("compare " + deep + " " + flat + " --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  const Document document = Document::parse(outcome.out);
  REQUIRE(document.at("runs").size() == 2);
  REQUIRE(document.at("explanations").size() == 1);
  const Document& why = document.at("explanations").at(0);
  CHECK(why.at("run") != document.at("fastest"));
  double sum = 0.0;
  for (const Document& part : why.at("breakdown")) {
    sum += part.at("difference_s").get<double>();
  }
  CHECK(sum == doctest::Approx(why.at("slower_by_s").get<double>()));
  CHECK(trainyard_line("compare " + deep).code == 2);
  const std::string same = trainyard_line("compare " + deep + " " + deep).out;
  CHECK(same.find("deep and deep (2) are equally fast") != std::string::npos);
}

TEST_CASE("no two columns of compare bear one name") {
  const ScratchFolder folder;
  const ScratchFolder other;
  const std::string job = R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 2, "network": "analytic"})";
  const std::string a = folder.file("a.json", job);
  const std::string b = folder.file("b.json", job);
  const std::string second_a = other.file("a.json", job);
  const auto names = [](const std::string& files) {
    const Document document = Document::parse(trainyard_line("compare " + files + " --json -").out);
    std::vector<std::string> out;
    for (const Document& run : document.at("runs")) {
      out.push_back(run.at("name").get<std::string>());
    }
    return out;
  };
  CHECK(names(a + " " + b + " " + a) == std::vector<std::string>{"a", "b", "a (2)"});
  CHECK(names(a + " " + second_a + " " + b) == std::vector<std::string>{a, second_a, "b"});
}

}  // namespace test_other_verbs
