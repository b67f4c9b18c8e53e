#include <doctest/doctest.h>

#include <algorithm>

#include "sim/base/json_reader.hpp"
#include "tests/topologies/import_checks.hpp"
#include "topologies/importers/matrix_text.hpp"
#include "topologies/topology_report.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_nvidia_smi {

namespace {

// Two PCIe switches with two GPUs and a NIC each, in two sockets; NVSwitch between all GPUs.
constexpr std::string_view kMatrix =
    "\t\x1b[4mGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\x1b[0m\n"
    "GPU0\t X \tNV12\tNV12\tNV12\tPXB\tSYS\t0-15\t0\n"
    "GPU1\tNV12\t X \tNV12\tNV12\tPXB\tSYS\t0-15\t0\n"
    "GPU2\tNV12\tNV12\t X \tNV12\tSYS\tPXB\t16-31\t1\n"
    "GPU3\tNV12\tNV12\tNV12\t X \tSYS\tPXB\t16-31\t1\n"
    "NIC0\tPXB\tPXB\tSYS\tSYS\t X \tSYS\n"
    "NIC1\tSYS\tSYS\tPXB\tPXB\tSYS\t X \n"
    "\nLegend:\n  X    = Self\n";

std::string everywhere(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  for (std::size_t at = out.find(from); at != std::string::npos; at = out.find(from, at + to.size())) {
    out.replace(at, from.size(), to);
  }
  return out;
}

// A matrix whose cell between devices i < j is `cell(i, j)`.
template <class Cell>
std::string matrix_of(const std::vector<std::string>& names, Cell cell, const std::vector<std::string>& numa) {
  std::string out = "\t";
  for (const std::string& name : names) {
    out += name + "\t";
  }
  out += numa.empty() ? "\n" : "CPU Affinity\tNUMA Affinity\n";
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += names[i];
    for (std::size_t j = 0; j < names.size(); ++j) {
      out +=
          "\t" + std::string(i == j ? " X " : cell(static_cast<int>(std::min(i, j)), static_cast<int>(std::max(i, j))));
    }
    out += i < numa.size() ? "\t0-7\t" + numa[i] + "\n" : "\n";
  }
  return out;
}

std::vector<std::string> names_of(int gpus, int nics) {
  std::vector<std::string> out;
  for (int g = 0; g < gpus; ++g) {
    out.push_back("GPU" + std::to_string(g));
  }
  for (int n = 0; n < nics; ++n) {
    out.push_back("mlx5_" + std::to_string(n));
  }
  return out;
}

}  // namespace

TEST_CASE("an nvidia-smi matrix becomes a node with its switches and rails") {
  const ClusterSpec cluster = import_topology(kMatrix, "mine", like("dgx-a100"));
  CHECK(cluster.gpus_per_node == 4);
  CHECK(cluster.node.scale_up == ScaleUp::kSwitch);
  CHECK(cluster.node.scale_up_links == 12);
  CHECK(cluster.node.nics == 2);
  const Fabric fabric = build_fabric(cluster, 8);
  CHECK(fabric.link(fabric.route({0}, {1}).front()).bandwidth.value == doctest::Approx(12 * 25e9 * 0.917));
  CHECK(fabric.rail_of({0}) == fabric.rail_of({1}));
  CHECK(fabric.rail_of({0}) != fabric.rail_of({2}));
  CHECK(fabric.node_of({4}) == 1);
}

TEST_CASE("one tray of a rack stands for the whole rack that switches join") {
  const ClusterSpec cluster = imported("topo_gb200_tray.txt", "gb200-nvl72");
  CHECK(cluster.gpus_per_node == 72);
  CHECK(cluster.node.nics == 72);
  CHECK(notes_of(cluster).find("the file shows 4 of the 72 GPUs that switches join in gb200-nvl72") !=
        std::string::npos);
  const Fabric fabric = build_fabric(cluster, 144);
  CHECK(fabric.route({0}, {71}).size() == fabric.route({0}, {1}).size());
  CHECK(fabric.node_of({72}) == 1);
  // Of a cluster whose nodes are hosts it is a node.
  CHECK(imported("topo_gb200_tray.txt", "dgx-h100").gpus_per_node == 4);
}

TEST_CASE("cells may be in lower case, affinities are lists of numbers or N/A, UTF-16 is told") {
  const std::string text(kMatrix);
  const std::string lower = everywhere(everywhere(everywhere(text, " X ", " x "), "NV12", "nv12"), "SYS", "soc");
  CHECK(import_topology(lower, "mine", like("dgx-a100")).document ==
        import_topology(kMatrix, "mine", like("dgx-a100")).document);
  for (const char* bad : {"9-3", "0-99999999999", "0--3", "0-15,", "abc", "0x3", "-1", "3-", "70000"}) {
    CAPTURE(bad);
    CHECK(fault_of(everywhere(text, "0-15", bad)).found == bad);
    CHECK(fault_of(everywhere(text, "0-15", bad)).pointer == "line 2");
    CHECK(fault_of(everywhere(text, "16-31\t1", std::string("16-31\t") + bad)).found == bad);
  }
  for (const char* good : {"N/A", "0", "0-15,64-79", "0,2-17"}) {
    CHECK(fault_of(everywhere(text, "0-15", good)).problem.empty());
  }
  std::string wide = "\xFF\xFE";
  for (const char c : text) {
    wide += {c, '\0'};
  }
  CHECK(fault_of(wide).found == "the mark of UTF-16");
  CHECK(fault_of(std::string_view(wide).substr(2)).found.find("UTF-16") != std::string::npos);
}

TEST_CASE("a matrix with few links a pair is a mesh") {
  const ClusterSpec cluster = import_topology(everywhere(kMatrix, "NV12", "NV2"), "mine", like("dgx-a100"));
  CHECK(cluster.node.scale_up == ScaleUp::kMesh);
  CHECK(cluster.node.scale_up_links == 6);
}

TEST_CASE("NVLinks are read from the whole matrix") {
  // Seven GPUs at the switch: 18 links of 25 GB/s at 83.6 %. GPU2 over PCIe, 63 GB/s a slot at 87.3 %.
  const Fabric one = build_fabric(imported("topo_one_gpu_without_nvlink.txt", "dgx-h100"), 8);
  CHECK(path_of(one, 0, 1).narrowest == doctest::Approx(376.2e9));
  CHECK_FALSE(path_of(one, 0, 2).nvlink);
  CHECK(path_of(one, 0, 2).narrowest == doctest::Approx(63e9 * 0.873));
  const Fabric first = build_fabric(imported("topo_gpu0_without_nvlink.txt", "dgx-h100"), 8);
  CHECK(path_of(first, 1, 3).nvlink);
  CHECK(path_of(first, 1, 3).narrowest == doctest::Approx(376.2e9));
  CHECK_FALSE(path_of(first, 0, 3).nvlink);
  // Four links between GPU1 and GPU2 alone.
  const ClusterSpec bridge = imported("topo_bridge_1_2.txt", "dgx-h100");
  CHECK(bridge.node.scale_up == ScaleUp::kMesh);
  CHECK(path_of(build_fabric(bridge, 3), 1, 2).narrowest == doctest::Approx(4 * 25e9 * 0.836));
  CHECK(notes_of(bridge).find("GPU0 has no NVLink") != std::string::npos);
}

TEST_CASE("the rate of an NVLink is the GPU's, not that of another's slot") {
  const ClusterSpec cluster = imported("topo_pcie_pairs.txt", "pcie-a100-8");
  const Path path = path_of(build_fabric(cluster, 4), 0, 1);
  CHECK(path.nvlink);
  CHECK(path.narrowest == doctest::Approx(12 * 25e9 * 0.917));  // the payload share of dgx-a100's
  CHECK_FALSE(path_of(build_fabric(cluster, 4), 0, 2).nvlink);
  CHECK(cluster.collective_profile == "ampere-nvlink");
}

TEST_CASE("a GPU of a switch may have broken links, a part of the GPUs may be visible") {
  const auto cell = [](int i, int j) { return i == 3 || j == 3 ? "NV17" : "NV18"; };
  const ClusterSpec broken = import_topology(matrix_of(names_of(8, 0), cell, {}), "mine", like("dgx-h100"));
  const Fabric fabric = build_fabric(broken, 8);
  CHECK(path_of(fabric, 0, 1).narrowest == doctest::Approx(376.2e9));
  CHECK(path_of(fabric, 0, 3).narrowest == doctest::Approx(17 * 25e9 * 0.836));
  for (const int gpus : {2, 3}) {  // of eight
    const auto all = [](int, int) { return "NV18"; };
    CHECK(import_topology(matrix_of(names_of(gpus, 0), all, {}), "mine", like("dgx-h100")).node.scale_up ==
          ScaleUp::kSwitch);
  }
}

TEST_CASE("more NVLinks than a GPU has are refused") {
  const auto wide = [](int, int) { return "NV24"; };
  CHECK(fault_of(matrix_of(names_of(8, 0), wide, {}), "dgx-h100").allowed == "up to 18");
  // Seven bundles of three would be 21 links; a switch would show all 18 to every GPU.
  const auto many = [](int, int) { return "NV3"; };
  CHECK(fault_of(matrix_of(names_of(8, 0), many, {}), "dgx-h100").found == "21 NVLinks of one GPU in all");
  // An H800 has eight.
  const auto fewer = [](int, int) { return "NV8"; };
  CHECK(import_topology(matrix_of(names_of(8, 0), fewer, {}), "mine", like("dgx-h100")).node.scale_up_links == 8);
}

TEST_CASE("management ports, storage and virtual functions are left out, and the notes say so") {
  const ClusterSpec managed = imported("topo_mgmt_nic.txt", "dgx-h100");
  CHECK(managed.node.nics == 8);
  CHECK(notes_of(managed).find("mlx5_0 left out") != std::string::npos);
  // Eight ports of 48.5 GB/s.
  CHECK(bisection(build_fabric(managed, 16)).capacity.value == doctest::Approx(8 * 48.5e9));
  CHECK(imported("topo_eight_vfs.txt", "dgx-h100").node.nics == 2);
  // GPU0's port with its functions, GPU1's alone.
  const auto near = [](int i, int j) {
    if (j < 2) {
      return "NV18";
    }
    return (i == 0 && j > 2) || (i == 1 && j == 2) || i > 2 ? "PIX" : "NODE";
  };
  const ClusterSpec functions = import_topology(matrix_of(names_of(2, 7), near, {"0", "0"}), "mine", like("dgx-h100"));
  CHECK(functions.node.nics == 2);
  CHECK(notes_of(functions).find("serve one GPU") != std::string::npos);
}

TEST_CASE("NICs that distance does not tell apart are told apart by their names") {
  std::vector<std::string> names = names_of(8, 9);
  names.back() = "ethernet0";
  const auto cell = [](int, int j) { return j < 8 ? "NV18" : "SYS"; };
  const ClusterSpec cluster = import_topology(matrix_of(names, cell, {}), "mine", like("dgx-h100"));
  CHECK(cluster.node.nics == 8);
  CHECK(notes_of(cluster).find("ethernet0 left out") != std::string::npos);
}

TEST_CASE("sockets are those of the affinity columns") {
  const Fabric flat = build_fabric(imported("topo_all_sys.txt", "pcie-a100-8"), 8);
  CHECK(count_of(flat, VertexKind::kCpu) == 2);
  const Cut cut = bisection(flat);
  CHECK(cut.links.size() == 1);
  CHECK(cut.capacity.value == doctest::Approx(48e9 * 0.46));  // UPI as in pcie-a100-8
  // Four NUMA nodes a socket, of which one has GPUs.
  const auto cell = [](int i, int j) { return j < 8 ? "NV12" : i / 2 == j - 8 ? "PXB" : "SYS"; };
  const std::string divided = matrix_of(names_of(8, 4), cell, {"3", "3", "1", "1", "7", "7", "5", "5"});
  const ClusterSpec cluster = import_topology(divided, "mine", like("dgx-a100"));
  const Fabric fabric = build_fabric(cluster, 8);
  CHECK(count_of(fabric, VertexKind::kCpu) == 2);
  CHECK(notes_of(cluster).find("4 NUMA nodes taken as parts of 2 sockets") != std::string::npos);
}

TEST_CASE("what the matrix leaves out is as in the other cluster") {
  const ClusterSpec cluster = imported("topo_no_nics.txt", "dgx-h100");
  CHECK(cluster.node.nics == 8);
  CHECK(count_of(build_fabric(cluster, 8), VertexKind::kCpu) == 2);
  CHECK(bisection(build_fabric(cluster, 16)).capacity.value == doctest::Approx(8 * 48.5e9));
}

TEST_CASE("the matrix of a cluster of the catalogue gives its paths") {
  const ClusterSpec known = load_cluster("dgx-h100");
  const ClusterSpec cluster = imported("topo_mgmt_nic.txt", "dgx-h100");
  const Fabric a = build_fabric(known, 16);
  const Fabric b = build_fabric(cluster, 16);
  for (int from = 0; from < 16; ++from) {
    for (int to = 0; to < 16; ++to) {
      CAPTURE(from);
      CAPTURE(to);
      const std::vector<LinkId> one = a.route({from}, {to});
      const std::vector<LinkId> other = b.route({from}, {to});
      REQUIRE(one.size() == other.size());
      for (std::size_t l = 0; l < one.size(); ++l) {
        CHECK(b.link(other[l]).bandwidth.value == doctest::Approx(a.link(one[l]).bandwidth.value).epsilon(1e-12));
        CHECK(b.link(other[l]).latency.value == doctest::Approx(a.link(one[l]).latency.value).epsilon(1e-12));
        CHECK(b.link(other[l]).kind == a.link(one[l]).kind);
      }
    }
  }
}

TEST_CASE("an import is read again from its own document") {
  const ClusterSpec cluster = imported("topo_one_gpu_without_nvlink.txt", "dgx-h100");
  const Json document = parse_json(cluster.document.dump(2), "my.json");
  const ClusterSpec again = read_cluster(JsonReader(document, "my.json"), "my");
  CHECK(again.document == cluster.document);
  CHECK(again.node.nics == cluster.node.nics);
}

TEST_CASE("a pasted matrix keeps its meaning") {
  const ClusterSpec cluster = imported("topo_lost_escape.txt", "dgx-h100");
  CHECK(cluster.gpus_per_node == 8);
  CHECK(cluster.node.nics == 8);
  const Json plain = import_topology(kMatrix, "mine", like("dgx-a100")).document["node"];
  const auto node_of = [](const std::string& text) {
    return import_topology(text, "mine", like("dgx-a100")).document["node"];
  };
  CHECK(node_of(everywhere(kMatrix, "\n", "\r\n")) == plain);
  CHECK(node_of(everywhere(kMatrix, "\tNV12\tNV12\tPXB", "\tNV12\n   NV12\tPXB")) == plain);  // wrapped
  CHECK(node_of("\xEF\xBB\xBF$ nvidia-smi topo -m\n" + std::string(kMatrix)) == plain);
  CHECK(node_of(std::string(kMatrix.substr(0, kMatrix.find("\nLegend")))) == plain);
}

TEST_CASE("a line that is not understood is named") {
  const Fault cell = fault_of(replaced(kMatrix, "NV12\tNV12\tNV12\tPXB", "NV12\tFOO\tNV12\tPXB"));
  CHECK(cell.pointer == "line 2");
  CHECK(cell.found == "FOO");
  CHECK(fault_of(replaced(kMatrix, "\nGPU2\t", "\nGPU7\t")).pointer == "line 4");
  CHECK(fault_of("hello\n").found == "no header");
  CHECK(fault_of(replaced(kMatrix, "GPU1\tNV12", "GPU1\tNV11")).problem == "the topology matrix is not symmetric");
  CHECK(fault_of(replaced(kMatrix, "\tGPU1\t", "\tGPU0\t")).allowed == "every name once");
  CHECK(fault_of(replaced(kMatrix, "NV12", "NV-12")).found == "NV-12");
  CHECK(fault_of(std::string(kMatrix) + std::string(kMatrix)).allowed == "one matrix");
}

}  // namespace test_nvidia_smi
