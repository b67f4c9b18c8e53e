// A machine whose topology was dumped is a cluster to every verb.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_imports {

using Document = nlohmann::json;

namespace {

std::string import_path(const std::string& name) {
  return std::string(TRAINYARD_SOURCE_DIR) + "/tests/topologies/imports/" + name;
}

Document json_of(const std::string& line) {
  const Outcome outcome = trainyard_line(line + " --json -");
  CAPTURE(line);
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

const std::string kJob = " --model llama-3-8b --gpus 16 --tp 8 --global-batch 16 --network analytic --cluster ";

}  // namespace

TEST_CASE("the matrix of a catalogue's cluster gives that cluster's predictions") {
  const std::string mine = import_path("topo_mgmt_nic.txt") + " --like dgx-h100";
  for (const std::string op : {"all_reduce", "all_gather", "all_to_all"}) {
    const std::string line = "collective --sizes 1M:256M --gpus 16 --op " + op + " --cluster ";
    const Document ours = json_of(line + mine).at("results");
    const Document known = json_of(line + "dgx-h100").at("results");
    REQUIRE(ours.size() == known.size());
    for (std::size_t row = 0; row < known.size(); ++row) {
      CHECK(ours[row].at("algorithm") == known[row].at("algorithm"));
      CHECK(ours[row].at("time_s").get<double>() ==
            doctest::Approx(known[row].at("time_s").get<double>()).epsilon(1e-9));
    }
  }
  const double own = json_of("run" + kJob + mine).at("step_time_s").get<double>();
  CHECK(own == doctest::Approx(json_of("run" + kJob + "dgx-h100").at("step_time_s").get<double>()).epsilon(1e-9));
}

TEST_CASE("an import written as a cluster gives the same answers") {
  const ScratchFolder scratch;
  const std::string out = (scratch.path / "my.json").string();
  for (const std::string name : {"topo_one_gpu_without_nvlink.txt", "topo_pcie_pairs.txt", "xml_slow_nic_last.xml"}) {
    CAPTURE(name);
    const std::string like = name == "topo_pcie_pairs.txt" ? "pcie-a100-8" : "dgx-h100";
    const std::string file = import_path(name);
    const Outcome written = trainyard_line("topology --import " + file + " --like " + like + " --out " + out);
    REQUIRE(written.code == 0);
    const std::string line = "collective --op all_reduce --sizes 1M:64M --gpus 8 --cluster ";
    CHECK(json_of(line + file + " --like " + like).at("results") == json_of(line + out).at("results"));
    const std::string memory = "memory --model llama-3-8b --gpus 8 --global-batch 8 --cluster ";
    CHECK(json_of(memory + file + " --like " + like).at("peak_bytes") == json_of(memory + out).at("peak_bytes"));
  }
}

TEST_CASE("a scenario file names a topology and what it is like") {
  const ScratchFolder scratch;
  const std::string job = scratch.file("job.json", Document{{"model", "llama-3-8b"},
                                                            {"cluster", import_path("topo_mgmt_nic.txt")},
                                                            {"like", "dgx-h100"},
                                                            {"gpus", 16},
                                                            {"layout", {{"tp", 8}}},
                                                            {"training", {{"global_batch", 16}}},
                                                            {"network", "analytic"}}
                                                       .dump());
  const Document run = json_of("run " + job);
  CHECK(run.at("scenario").at("like") == "dgx-h100");
  // What was read can be asked again.
  const std::string again = scratch.file("again.json", run.at("scenario").dump());
  CHECK(json_of("run " + again).at("step_time_s") == run.at("step_time_s"));
  CHECK(trainyard_line("compare " + job + " " + again).code == 0);
}

TEST_CASE("a GPU that the switch does not reach slows collectives down to PCIe") {
  const std::string line = "collective --op all_reduce --sizes 64M --like dgx-h100 --cluster " +
                           import_path("topo_one_gpu_without_nvlink.txt") + " --gpus ";
  const auto bus_rate = [&](const std::string& gpus) {
    return json_of(line + gpus).at("results").at(0).at("busbw_bytes_per_s").get<double>();
  };
  CHECK(bus_rate("8") < 63e9);  // a slot's nominal rate
  CHECK(bus_rate("2") > 63e9);  // GPU0 and GPU1 are at the switch
}

TEST_CASE("what an import leaves out is said on standard error") {
  const Outcome outcome = trainyard_line("collective --op all_reduce --sizes 1M --gpus 16 --like dgx-h100 --cluster " +
                                         import_path("topo_mgmt_nic.txt"));
  CHECK(outcome.code == 0);
  CHECK(outcome.err.find("mlx5_0 left out") != std::string::npos);
}

TEST_CASE("what --import names and is no topology is said of the file") {
  const std::string file = (std::filesystem::temp_directory_path() / "trainyard_no_topology.txt").string();
  const auto err_of = [](const std::string& name) {
    const Outcome outcome = trainyard_line("topology --like dgx-a100 --import " + name);
    CHECK(outcome.code == 2);
    CHECK(outcome.err.find("unknown cluster") == std::string::npos);
    return outcome.err;
  };
  for (const auto& [text, found] : {std::pair{"", "found: an empty file"},
                                    {" \n", "found: a file of nothing but blanks"},
                                    {"{\"a\":1}", "found: a JSON document"}}) {
    CAPTURE(text);
    std::ofstream(file) << text;
    CHECK(err_of(file).find(found) != std::string::npos);
    CHECK(err_of(file).find("in: " + file) != std::string::npos);
  }
  std::filesystem::remove(file);
  CHECK(err_of("dgx-h100").find("in: --import") != std::string::npos);
  CHECK(err_of("dgx-h100").find("found: dgx-h100") != std::string::npos);
}

TEST_CASE("a topology needs a cluster that it is like, and a cluster none") {
  const std::string file = import_path("topo_mgmt_nic.txt");
  const Outcome without = trainyard_line("collective --gpus 8 --cluster " + file);
  CHECK(without.code == 2);
  CHECK(without.err.find("--like") != std::string::npos);
  CHECK(trainyard_line("collective --gpus 8 --cluster dgx-h100 --like dgx-a100").code == 2);
  CHECK(trainyard_line("collective --gpus 8 --like dgx-h1000 --cluster " + file).code == 2);
  CHECK(trainyard_line("topology --import " + file).code == 2);
  CHECK(trainyard_line("topology dgx-h100 --like dgx-a100 --import " + file).code == 2);
  CHECK(trainyard_line("topology").code == 2);
}

}  // namespace test_imports
