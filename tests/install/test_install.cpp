// An installed tree is whole: moved elsewhere it answers as the program that was built does, from its own files.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_install {

using Document = nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A tree that was installed in one place and moved to another.
struct MovedTree {
  ScratchFolder scratch;
  fs::path prefix = scratch.path / "moved" / "here";

  MovedTree() {
    const fs::path first = scratch.path / "first";
    const Outcome install =
        shell("'" TRAINYARD_CMAKE "' --install '" TRAINYARD_BUILD "' --prefix '" + first.string() + "'");
    REQUIRE_MESSAGE(install.code == 0, install.err);
    fs::create_directories(prefix.parent_path());
    fs::rename(first, prefix);
  }
  // What the program of the tree answers; nothing of the environment helps it.
  Outcome answer(const std::string& words) const {
    return shell("unset TRAINYARD_HOME TRAINYARD_SIMGRID_MODULE; cd /; '" + (prefix / "bin/trainyard").string() + "' " +
                 words);
  }
};

const std::string kJob = "--model gpt2 --cluster dgx-a100 --gpus 16 --tp 2 --pp 2 --global-batch 16 ";

}  // namespace

TEST_CASE("a moved tree answers as the program that was built does") {
  const MovedTree tree;
  const std::string published = (tree.prefix / "share/trainyard/validation/published").string();
  for (const std::string& words :
       {std::string("--version"), std::string("list models"), std::string("list algorithms"),
        std::string("collective --op all_reduce --cluster dgx-h100 --gpus 16 --sizes 1M:64M"),
        std::string("memory --model mixtral-8x7b --cluster dgx-h100 --gpus 8 --ep 8"),
        "validate memory " + published + "/memory/memory_korthikanti.csv",
        "validate collectives " + published + "/collectives/nccl_vtrain.csv",
        "validate membound " + published + "/kernels/membound_stream.csv"}) {
    CAPTURE(words);
    const Outcome built = trainyard_line(words);
    const Outcome moved = tree.answer(words);
    CHECK(built.code == 0);
    CHECK(moved.code == 0);
    CHECK(moved.err == built.err);
    CHECK(moved.out == built.out);
  }
  for (const std::string network : {"flow", "analytic", "simgrid"}) {
    CAPTURE(network);
    const std::string words = "run " + kJob + "--json - --network " + network;
    Document built = Document::parse(trainyard_line(words).out);
    const Outcome outcome = tree.answer(words);
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    Document moved = Document::parse(outcome.out);
    built.at("sim").erase("wall_s");
    moved.at("sim").erase("wall_s");
    CHECK(moved == built);
  }
}

TEST_CASE("a moved tree reads its own files and loads its own module, not those that it was built from") {
  const MovedTree tree;
  const fs::path models = tree.prefix / "share/trainyard/models/catalogue";
  fs::copy_file(models / "gpt2-xl.json", models / "only-here.json");
  CHECK(tree.answer("list models").out.find("\nonly-here ") != std::string::npos);
  CHECK(trainyard_line("list models").out.find("only-here") == std::string::npos);

  // The catalogues of another folder win, and one without any is refused.
  const Outcome empty = shell("cd /; TRAINYARD_HOME=" + tree.scratch.path.string() + " '" +
                              (tree.prefix / "bin/trainyard").string() + "' list models");
  CHECK(empty.code == 2);
  CHECK(empty.err.find("TRAINYARD_HOME") != std::string::npos);

  const fs::path libraries = tree.prefix / "lib/trainyard";
  REQUIRE(fs::exists(libraries));
  for (const fs::directory_entry& module : fs::directory_iterator(libraries)) {
    std::ofstream(module.path(), std::ios::trunc) << "no module";
  }
  const Outcome broken = tree.answer("run " + kJob + "--network simgrid");
  CHECK(broken.code == 1);
  CHECK(broken.err.find(libraries.string()) != std::string::npos);
  CHECK(tree.answer("run " + kJob).code == 0);  // which loads none
}

}  // namespace test_install
