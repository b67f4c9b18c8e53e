#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_show_verb {

using Document = nlohmann::json;

namespace {

const std::string kJob = "--model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 4 --global-batch 64";

std::map<std::string, Document> values_of(const std::string& line) {
  const Outcome outcome = trainyard_line("show --part scenario --json - " + line);
  REQUIRE(outcome.code == 0);
  const Document shown = Document::parse(outcome.out);
  std::map<std::string, Document> out;
  for (const Document& value : shown.at("scenario")) {
    out[value.at("key").get<std::string>()] = value;
  }
  return out;
}

}  // namespace

TEST_CASE("show says of every value who says it: the file, the option, the catalogue, the profile") {
  const ScratchFolder scratch;
  const std::string file = scratch.file(
      "job.json", R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64, "layout": {"tp": 8, "pp": 4}})");
  const auto values = values_of(file + " --pp 2 --set training.micro_batch=2");
  CHECK(values.at("layout.tp").at("from") == file);
  CHECK(values.at("layout.pp").at("from") == "--pp");
  CHECK(values.at("training.micro_batch").at("from") == "--set");
  CHECK(values.at("layout.dp").at("value") == 4);  // 64 GPUs / (8 * 2)
  CHECK(values.at("layout.dp").at("origin") == "derived");
  CHECK(values.at("training.recompute").at("from") == "profile megatron-core");
  CHECK(values.at("gpu").at("from") == "cluster dgx-a100");
  CHECK(values.at("seed").at("origin") == "default");
  const Outcome text = trainyard_line("show --part scenario " + file);
  CHECK(text.code == 0);
  CHECK(text.out.find("what tp, pp and cp leave of the GPUs") != std::string::npos);
}

TEST_CASE("show lists all groups and stages of a layout") {
  const Document layout = Document::parse(trainyard_line("show --part layout --json - " + kJob).out).at("layout");
  CHECK(layout.at("ranks") == 64);
  std::map<std::string, Document> groups;
  for (const Document& one : layout.at("groups")) {
    groups[one.at("name").get<std::string>()] = one;
  }
  // tp is the fastest dimension, pp the slowest, and dp = 64 / (8 * 4) = 2 stands between them.
  CHECK(groups.at("tp").at("count") == 8);
  CHECK(groups.at("tp").at("ranks").at(1) == Document({8, 9, 10, 11, 12, 13, 14, 15}));
  CHECK(groups.at("dp").at("ranks").at(0) == Document({0, 8}));
  CHECK(groups.at("pp").at("ranks").at(0) == Document({0, 16, 32, 48}));
  CHECK(groups.count("cp") == 0);  // nobody shares a sequence
  CHECK(layout.at("stages").size() == 4);
  CHECK(layout.at("stages").at(3).at("chunks").at(0).at("first_layer") == 72);  // 96 layers on 4 stages
  CHECK(layout.at("stages").at(3).at("chunks").at(0).at("head") == true);
}

TEST_CASE("show lists the program of every rank class, and its text shows equal stages once") {
  const Document program = Document::parse(trainyard_line("show --part program --json - " + kJob).out).at("program");
  CHECK(program.at("classes").size() == 4);
  CHECK(program.at("classes").at(1).at("layers").size() == 24);
  CHECK(program.at("classes").at(1).at("passes").size() == 64);  // 32 micro-batches, forward and backward
  const Document& parts = program.at("models").at(0).at("parts");
  REQUIRE(parts.size() == 3);
  CHECK(parts.at(1).at("name") == "layer");
  const Document& forward = parts.at(1).at("forward");
  CHECK(
      std::any_of(forward.begin(), forward.end(), [](const Document& one) { return one.at("kind") == "collective"; }));
  const Outcome text = trainyard_line("show --part program " + kJob);
  CHECK(text.out.find("stage 1 to stage 2: 16 ranks each, 24 x layer; 64 passes: F0 F1 F2 B0") != std::string::npos);
  CHECK(text.out.find("gemm 2048 x 4608 x 12288") != std::string::npos);
}

TEST_CASE("show says of memory what the verb memory says") {
  const std::string shown = trainyard_line("show --part memory " + kJob).out;
  CHECK(trainyard_line("memory " + kJob).out.find(shown) == 0);
  const Document json = Document::parse(trainyard_line("show --part memory --json - " + kJob).out).at("memory");
  const Document memory = Document::parse(trainyard_line("memory --json - " + kJob).out);
  CHECK(json.at("per_stage") == memory.at("per_stage"));
}

TEST_CASE("show without a part is brief and whole, and its parts are known by name") {
  const Outcome all = trainyard_line("show " + kJob);
  CHECK(all.code == 0);
  CHECK(all.err.empty());
  for (const std::string part : {"scenario: ", "layout: ", "program: ", "memory per GPU"}) {
    CHECK(all.out.find(part) != std::string::npos);
  }
  CHECK(all.out.find("gemm 2048") == std::string::npos);
  CHECK(std::count(all.out.begin(), all.out.end(), '\n') < 100);
  const Document json = Document::parse(trainyard_line("show --json - " + kJob).out);
  CHECK(json.at("program").at("models").at(0).at("parts").at(1).at("forward").size() > 10);
  const Outcome unknown = trainyard_line("show --part memroy " + kJob);
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("did you mean: memory") != std::string::npos);
}

TEST_CASE("show reads a question once, so that it may come through a pipe") {
  const ScratchFolder scratch;
  const std::string pipe = scratch.path / "question.json";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const std::jthread writer(
      [&pipe] { std::ofstream(pipe) << R"({"model": "gpt2-xl", "cluster": "dgx-h100", "gpus": 8})"; });
  const auto values = values_of(pipe);
  CHECK(values.at("model").at("from") == pipe);
}

}  // namespace test_show_verb
