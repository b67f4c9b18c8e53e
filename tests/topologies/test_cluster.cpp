#include <doctest/doctest.h>

#include <set>

#include "sim/base/error.hpp"
#include "topologies/cluster.hpp"

using namespace trainyard;

namespace test_cluster {

namespace {

int largest_of(const ClusterSpec& cluster) {
  return cluster.document.contains("largest") ? cluster.document["largest"].get<int>() : kMostInCluster;
}

bool is_continuous(const Fabric& fabric, DeviceId from, DeviceId to) {
  VertexId at = fabric.vertex_of(from);
  for (const LinkId id : fabric.route(from, to)) {
    if (fabric.link(id).from != at) {
      return false;
    }
    at = fabric.link(id).to;
  }
  return at == fabric.vertex_of(to);
}

Fault fault_of(const std::string& text) {
  try {
    const Json document = parse_json(text, "c.json");
    build_fabric(read_cluster(JsonReader(document, "c.json"), "c"), 8);
  } catch (const UserError& error) {
    return error.fault();
  }
  FAIL("no error was raised");
  return {};
}

}  // namespace

TEST_CASE("every cluster of the catalogue gives continuous routes between all pairs of its devices") {
  for (const std::string& name : cluster_names()) {
    CAPTURE(name);
    const ClusterSpec cluster = load_cluster(name);
    for (const int gpus : {1, 5, 8, 48}) {
      if (gpus > largest_of(cluster)) {
        continue;
      }
      const Fabric fabric = build_fabric(cluster, gpus);
      CHECK(fabric.devices() == static_cast<std::size_t>(gpus));
      for (int a = 0; a < gpus; ++a) {
        for (int b = 0; b < gpus; ++b) {
          REQUIRE(is_continuous(fabric, {a}, {b}));
        }
      }
      CHECK(fabric.route({0}, {0}).empty());
    }
  }
}

TEST_CASE("a cluster's file may describe more GPUs than one question can ask for") {
  Json document = load_cluster("dgx-h100").document;
  document["largest"] = kMostInCluster;
  const ClusterSpec cluster = read_cluster(JsonReader(document, "c.json"), "c");
  CHECK(kMostInCluster == 1 << 20);
  CHECK_NOTHROW(nodes_in_use(cluster, 8));
  CHECK_THROWS_AS(nodes_in_use(cluster, kMostInCluster + 1), UserError);
}

TEST_CASE("the catalogue has every cluster that the published runs name") {
  // Clusters named in the data's README.
  const std::vector<std::string> names = cluster_names();
  const std::set<std::string> catalogue(names.begin(), names.end());
  for (const char* name :
       {"dgx-a100",    "dgx-a100-40",   "a100-hdr-800g", "mosaic-a100-1600g", "a100-roce-4x100g", "a100-400g",
        "h100-800g",   "jean-zay-a100", "jean-zay-v100", "dgx-1-p100",        "dgx-1-v100",       "dgx-2h",
        "dgx-h100",    "dgx-h100-96",   "dgx-h200",      "aws-p4d",           "aws-p5",           "gcp-a3-high",
        "llama3-roce", "dgx-b200",      "dgx-b300",      "gb200-nvl72",       "gb300-nvl72",      "aws-p2",
        "gce-n1-k80"}) {
    CHECK(catalogue.contains(name));
  }
}

TEST_CASE("a rail of a superpod unit is one switch, another unit three") {
  const Fabric fabric = build_fabric(load_cluster("dgx-h100"), 512);
  const auto switches = [&](DeviceId a, DeviceId b) {
    int count = 0;
    for (const LinkId id : fabric.route(a, b)) {
      const VertexKind kind = fabric.vertex(fabric.link(id).to).kind;
      count += kind == VertexKind::kLeaf || kind == VertexKind::kSpine || kind == VertexKind::kCore ? 1 : 0;
    }
    return count;
  };
  CHECK(switches({0}, {8}) == 1);           // GPU 0 of nodes 0 and 1
  CHECK(switches({0}, {32 * 8}) == 3);      // first node of the second unit of 32
  CHECK(switches({0}, {32 * 8 + 3}) == 3);  // the rail is changed over NVLink
}

TEST_CASE("a large job on racks of 72 uses 64 GPUs of each") {
  const Fabric fabric = build_fabric(load_cluster("gb200-nvl72"), 256);
  CHECK(fabric.node_of({63}) == 0);
  CHECK(fabric.node_of({64}) == 1);
  // 144 GPUs fill two racks.
  CHECK(build_fabric(load_cluster("gb200-nvl72"), 144).node_of({71}) == 0);
}

TEST_CASE("mixed nodes follow one another in groups") {
  const Fabric fabric = build_fabric(load_cluster("mixed-a100-h100"), 48);
  // 12 x 25 GB/s x 0.917 on the A100 nodes 0 to 3, 18 x 25 GB/s x 0.836 on the H100 nodes after them.
  CHECK(fabric.link(fabric.route({0}, {1}).front()).bandwidth.value == doctest::Approx(275.1e9));
  CHECK(fabric.link(fabric.route({32}, {33}).front()).bandwidth.value == doctest::Approx(376.2e9));
  CHECK(is_continuous(fabric, {3}, {40}));
}

TEST_CASE("groups of nodes say what they hold, and inherit the rest") {
  const ClusterSpec cluster = load_cluster("mixed-a100-h100");
  REQUIRE(cluster.kinds.size() == 2);
  CHECK(cluster.different_gpus() == std::vector<std::string>{"a100-80", "h100-sxm"});
  CHECK(cluster.kind_of_node(3).gpu == "a100-80");
  CHECK(cluster.kind_of_node(4).gpu == "h100-sxm");
  CHECK(cluster.kind_of_node(3).collective_profile == "ampere-nvlink");
  CHECK(cluster.kind_of_node(4).collective_profile == "hopper-nvlink");
  CHECK(cluster.kind_of_node(4).cpu_vendor == cluster.cpu_vendor);
  CHECK(cluster.kind_of_node(4).node.nic_bandwidth.value == doctest::Approx(50e9));
  const ClusterSpec uniform = load_cluster("dgx-a100");
  CHECK(&uniform.kind_of_node(7) == &uniform);
}

TEST_CASE("a torus goes the short way round, dimension by dimension") {
  // 4 x 4 x 4: from (0,0,0) to (3,2,1) are 1 + 2 + 1 hops.
  const Fabric fabric = build_fabric(load_cluster("tpu-v4-pod"), 64);
  CHECK(fabric.route({0}, {3 + 2 * 4 + 1 * 16}).size() == 4);
}

TEST_CASE("hashed routes collide and even ones do not") {
  const Fabric hashed = build_fabric(load_cluster("leaf-spine-ecmp-h100"), 64);
  // 32 flows of one leaf's NICs to the other leaf's: with eight spines of four NICs' capacity each an even spread puts
  // four flows on every uplink; a hash puts five or more on some.
  std::vector<int> load(hashed.links().size());
  int worst = 0;
  for (int i = 0; i < 32; ++i) {
    for (const LinkId id : hashed.route({i}, {32 + i})) {
      worst = std::max(worst, ++load[id.index()]);
    }
  }
  CHECK(worst > 4);
  const Fabric static_rails = build_fabric(load_cluster("fat-tree-static-h100"), 512);
  // The 32 nodes of a unit send 32 flows of a rail to the 32 ports of the next unit's leaf: four on each of eight
  // spines.
  std::vector<int> per_link(static_rails.links().size());
  int most = 0;
  for (int node = 0; node < 32; ++node) {
    for (const LinkId id : static_rails.route({node * 8}, {(32 + node) * 8})) {
      most = std::max(most, ++per_link[id.index()]);
    }
  }
  CHECK(most == 4);
}

TEST_CASE("bad clusters name the key and what is allowed") {
  const Fault generator = fault_of(
      R"({"gpu": "a", "cpu_vendor": "intel", "collective_profile": "pcie", "node": {"generator": "nvswich-node"}})");
  CHECK(generator.pointer == "/node/generator");
  CHECK(generator.nearest == "nvswitch-node");
  const Fault unit = fault_of(
      R"({"gpu": "a", "cpu_vendor": "intel", "collective_profile": "pcie", "node": {"generator": "nvswitch-node", "gpus": 8,
          "nvlink": {"links": 6, "bandwidth": 25, "latency": "1 us"}}})");
  CHECK(unit.pointer == "/node/nvlink/bandwidth");
  try {
    build_fabric(load_cluster("pcie-gen3-10"), 11);
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.fault().allowed == "1 to 10 GPUs");
  }
  CHECK_THROWS_AS(build_fabric(load_cluster("dgx-h100"), 0), UserError);
  CHECK_THROWS_AS(load_cluster("dgx-h1000"), UserError);
}

TEST_CASE("a fault of a cluster says in which file it stands, and where there") {
  const auto fault_on = [](const Json& document, int gpus) {
    try {
      build_fabric(read_cluster(JsonReader(document, "mine.json", "/cluster"), "mine"), gpus);
    } catch (const UserError& error) {
      return error.fault();
    }
    return Fault{};
  };
  Json alone = load_cluster("dgx-h100").document;
  alone.erase("network");
  CHECK(fault_on(alone, 16).file == "mine.json");
  CHECK(fault_on(alone, 16).pointer == "/cluster/network");
  alone["largest"] = 8;
  CHECK(fault_on(alone, 16).file == "mine.json");
  CHECK(fault_on(alone, 16).pointer == "/cluster/largest");
  const Json apart = parse_json(R"({"gpu": "a100-80", "cpu_vendor": "amd", "collective_profile": "pcie", "fabric": {
      "scale_up": "none", "vertices": [{"kind": "gpu", "node": 0}, {"kind": "gpu", "node": 0}], "links": []}})",
                                "mine.json");
  CHECK(fault_on(apart, 2).problem == "the devices of the fabric are not connected");
  CHECK(fault_on(apart, 2).file == "mine.json");
}

TEST_CASE("a custom fabric is a list of vertices and links") {
  const Json document = parse_json(R"({"gpu": "a100-80", "cpu_vendor": "amd", "collective_profile": "pcie", "fabric": {
    "scale_up": "none",
    "vertices": [{"kind": "gpu", "node": 0}, {"kind": "gpu", "node": 1}, {"kind": "leaf"}],
    "links": [{"from": 0, "to": 2, "kind": "network", "bandwidth": "10 GB/s", "latency": "1 us"},
              {"from": 2, "to": 1, "kind": "network", "bandwidth": "5 GB/s", "latency": "1 us"}]}})",
                                   "mine.json");
  const ClusterSpec cluster = read_cluster(JsonReader(document, "mine.json"), "mine");
  const Fabric fabric = build_fabric(cluster, 2);
  REQUIRE(fabric.route({0}, {1}).size() == 2);
  CHECK(fabric.link(fabric.route({0}, {1})[1]).bandwidth.value == doctest::Approx(5e9));
  CHECK(is_continuous(fabric, {1}, {0}));
  CHECK_THROWS_AS(build_fabric(cluster, 3), UserError);
}

TEST_CASE("the nodes in use are those of the fabric") {
  for (const std::string& name : cluster_names()) {
    CAPTURE(name);
    const ClusterSpec cluster = load_cluster(name);
    for (const int gpus : {1, 5, 36, 64}) {
      if (gpus > largest_of(cluster)) {
        continue;
      }
      const Fabric fabric = build_fabric(cluster, gpus);
      std::size_t device = 0;
      int number = 0;
      for (const NodeInUse& node : nodes_in_use(cluster, gpus)) {
        for (int i = 0; i < node.gpus; ++i) {
          REQUIRE(fabric.node_of(DeviceId::from(device++)) == number);
        }
        ++number;
      }
      CHECK(device == static_cast<std::size_t>(gpus));
    }
  }
}

TEST_CASE("a processor's maker that nobody knows is refused") {
  const auto vendor = [](const char* name) {
    Json document = load_cluster("dgx-h100").document;
    document["cpu_vendor"] = name;
    return read_cluster(JsonReader(document, "my.json"), "my").cpu_vendor;
  };
  CHECK(vendor("amd") == "amd");
  try {
    vendor("intle");
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.fault().pointer == "/cpu_vendor");
    CHECK(error.fault().nearest == "intel");
  }
}

TEST_CASE("the cluster of 96 GB H100s has them") {
  CHECK(load_cluster("dgx-h100-96").gpu == "h100-96");
}

}  // namespace test_cluster
