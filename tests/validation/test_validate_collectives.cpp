#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/collectives/plan.hpp"
#include "validation/score/validate_collectives.hpp"
#include "validation/tables/collective_places.hpp"
#include "validation/tables/gpu_words.hpp"

namespace trainyard::test_validate_collectives {
namespace {

struct Table {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_collective_table_{}.csv", ::getpid());
  explicit Table(const std::string& text) { write_file(path, text); }
  ~Table() { std::filesystem::remove(path); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
};

Json rows_of(const std::string& text, const std::optional<std::string>& cluster = {}) {
  const Table table(text);
  return validate_collectives({.files = {table.path}, .cluster = cluster}).json.at("rows");
}

constexpr const char* kColumns = "id,source_repo,gpu,cluster,system,nodes,ranks,collective,size_bytes,time_us\n";

}  // namespace

TEST_CASE("a row's own columns name its machine, whoever published it") {
  const std::string rest = ",1,8,all_reduce,1073741824,4500\n";
  const Json rows = rows_of(std::string(kColumns) + "a,coreweave/nccl-tests,b200,,\"dgx-h100 nodes, coreweave\"" +
                            rest + "b,coreweave/nccl-tests,gb200,gb200-nvl72,mine" + rest + "c,xla,,dgx-h100,mine" +
                            rest + "d,xla,h100,,mine" + rest + "e,xla,b200,dgx-h100,mine" + rest + "f,xla,,,mine" +
                            rest + "g,xla,,no-such-cluster,mine" + rest + "h,xla,rtx-9090,,mine" + rest);
  std::map<std::string, Json> by_id;
  for (const Json& row : rows) {
    by_id[row.at("id").get<std::string>()] = row;
    for (const char* key : {"file", "id", "cluster", "measured", "predicted", "error", "held_out_error"}) {
      CHECK(row.contains(key));
    }
  }
  CHECK(by_id["a"].at("cluster") == "dgx-b200");
  CHECK(by_id["b"].at("cluster") == "gb200-nvl72");
  CHECK(by_id["c"].at("cluster") == "dgx-h100");
  CHECK(by_id["d"].at("cluster") == "dgx-h100");
  for (const char* id : {"a", "b", "c", "d"}) {
    const Json& row = by_id[id];
    CHECK(row.at("error").get<double>() ==
          doctest::Approx(row.at("predicted").get<double>() / row.at("measured").get<double>() - 1.0));
  }
  CHECK(by_id["e"].at("reason").get<std::string>().find("measured on b200") != std::string::npos);
  CHECK(by_id["f"].at("reason") == "neither cluster nor gpu is stated");
  CHECK(by_id["g"].at("reason").get<std::string>().find("there is no cluster no-such-cluster") != std::string::npos);
  CHECK(by_id["h"].at("reason").get<std::string>().find("has rtx-9090") != std::string::npos);
  for (const char* id : {"e", "f", "g", "h"}) {
    CHECK(by_id[id].at("predicted").is_null());
  }
}

TEST_CASE("a prediction is what a user of the cluster gets") {
  const Json rows = rows_of(std::string(kColumns) + "a,,,dgx-h100,,2,16,all_gather,67108864,400\n");
  const ClusterSpec cluster = load_cluster("dgx-h100");
  const Fabric fabric = build_fabric(cluster, 16);
  std::vector<DeviceId> members;
  for (int i = 0; i < 16; ++i) {
    members.push_back({i});
  }
  const CollectivePlan plan =
      plan_collective({CollectiveOp::kAllGather, {67108864.0}, members}, cluster, fabric, CollectiveOptions{});
  CHECK(rows.at(0).at("predicted").get<double>() == uncontended_time(plan, fabric).value);
}

TEST_CASE("a cluster named by hand holds for every row of its GPU") {
  const std::string text = std::string(kColumns) + "a,,a100-80,dgx-a100,,1,8,all_reduce,1048576,50\n" +
                           "b,,,dgx-h100,,1,8,all_reduce,1048576,50\nc,,,,,1,8,all_reduce,1048576,50\n";
  const Json rows = rows_of(text, "a100-400g");
  std::size_t predicted = 0;
  for (const Json& row : rows) {
    predicted += row.at("predicted").is_null() ? 0 : 1;
    CHECK((row.at("predicted").is_null() || row.at("cluster") == "a100-400g"));
  }
  CHECK(predicted == 2);  // not the one of an H100 node
}

TEST_CASE("rows that no machine has a place for are skipped in words, and missing columns are refused") {
  for (const char* bad :
       {"1,9,all_reduce,8,1", "0,8,all_reduce,8,1", "1,1,all_reduce,8,1", "9,8,all_reduce,8,1", "1,8,hypercube,8,1",
        "1,8,all_reduce,,1", "1,8,all_reduce,8,", "1,-8,all_reduce,8,1", "900000,900000,all_reduce,8,1"}) {
    CAPTURE(bad);
    const Json rows = rows_of(std::string(kColumns) + "a,,,juwels-booster,," + bad + "\n");
    CHECK(rows.at(0).at("predicted").is_null());
    CHECK_FALSE(rows.at(0).at("reason").get<std::string>().empty());
  }
  CHECK_THROWS_WITH_AS(rows_of("id,collective,ranks,nodes,size_bytes\na,all_reduce,8,1,8\n"),
                       doctest::Contains("time_us"), UserError);
}

TEST_CASE("a size is whole bytes and a time one that was measured: others are refused with line and column") {
  const auto refusal = [](const std::string& size, const std::string& time) {
    try {
      rows_of(std::string(kColumns) + "a,,,dgx-h100,,1,8,all_reduce," + size + "," + time + "\n");
    } catch (const UserError& error) {
      return error.fault();
    }
    return Fault{};
  };
  for (const char* bad : {"1e-320", "0.001", "1.5", "0", "-8", "1e300", "1152921504606846977000"}) {
    CAPTURE(bad);
    CHECK(refusal(bad, "400").pointer == "line 2, column size_bytes");
    CHECK(refusal(bad, "400").found == bad);
  }
  for (const char* bad : {"1e-320", "0.0001", "0", "-3", "1e13", "1e300"}) {
    CAPTURE(bad);
    CHECK(refusal("8", bad).pointer == "line 2, column time_us");
  }
  CHECK(refusal("1", "0.001").problem.empty());
}

TEST_CASE("an algorithm and a protocol that a row states are those it is predicted with") {
  const Json rows = rows_of(
      "cluster,nodes,ranks,collective,algorithm,protocol,size_bytes,time_us\n"
      "dgx-h100,1,8,all_reduce,Tree,simple,1073741824,4500\ndgx-h100,1,8,all_reduce,,LL9,1073741824,4500\n");
  for (const Json& row : rows) {
    if (row.at("predicted").is_null()) {
      CHECK(row.at("reason").get<std::string>().find("LL9") != std::string::npos);
    } else {
      CHECK(row.at("algorithm") == "tree");
      CHECK(row.at("protocol") == "Simple");
    }
  }
}

TEST_CASE("hosts of a rack share its NVLink domain") {
  const ClusterSpec rack = load_cluster("gb200-nvl72");
  CollectiveMeasurement row{.ranks = 8, .nodes = 2};
  // Two hosts of four GPUs in one domain.
  CHECK(places_of(row, rack).members.back() == DeviceId{7});
  row.gpus_per_node = 72;  // the source counts racks
  CHECK(places_of(row, rack).members.back() == DeviceId{72 + 3});
  row = {.ranks = 76, .nodes = 19};
  CHECK(places_of(row, rack).members.back() == DeviceId{75});
  CHECK(places_of({.ranks = 72, .nodes = 1}, rack).gpus == 72);
  CHECK_FALSE(why_no_place({.ranks = 73, .nodes = 1}, rack).empty());
}

TEST_CASE("drivers' names mean GPUs of the catalogue") {
  CHECK(may_mean_gpu("NVIDIA H100 80GB HBM3", "h100-sxm"));
  CHECK(may_mean_gpu("NVIDIA A100-SXM4-40GB", "a100-80"));  // memory does not change the links
  CHECK(may_mean_gpu("NVIDIA GeForce GTX 1080 Ti", "1080ti"));
  CHECK(may_mean_gpu("Tesla V100-SXM2-32GB", "v100-32"));
  CHECK(may_mean_gpu("NVIDIA GB300", "b300"));
  CHECK(may_mean_gpu("AMD Instinct MI300X OAM", "mi300x"));
  CHECK(may_mean_gpu("NVIDIA A100 80GB PCIe", "a100-pcie-80"));
  CHECK(may_mean_gpu("NVIDIA Graphics Device", "b200"));
  CHECK_FALSE(may_mean_gpu("NVIDIA A100 80GB PCIe", "a100-80"));
  CHECK_FALSE(may_mean_gpu("NVIDIA H100 NVL", "h100-sxm"));
  CHECK_FALSE(may_mean_gpu("NVIDIA GB200", "b200"));
  CHECK_FALSE(may_mean_gpu("NVIDIA H200", "h20"));
  CHECK_FALSE(may_mean_gpu("AMD Instinct MI300X", "h100-sxm"));
  CHECK(default_cluster("gb300") == "gb300-nvl72");
  CHECK(default_cluster("h100-sxm") == "dgx-h100");
}

TEST_CASE("every committed row of collectives states its machine or the reason why it has none") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(home_folder() / "validation/published/collectives")) {
    if (entry.path().extension() == ".csv") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::size_t misplaced = 0;
  for (const CollectiveMeasurement& row : read_collectives({.files = files}).rows) {
    CAPTURE(row.id);
    CHECK_FALSE(row.system.empty());
    misplaced += row.misplaced ? 1 : 0;
  }
  CHECK(misplaced == 0);
}

}  // namespace trainyard::test_validate_collectives
