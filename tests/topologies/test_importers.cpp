#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "topologies/importers/importers.hpp"

using namespace trainyard;

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

constexpr std::string_view kXml = R"(<system version="1">
  <cpu numaid="0" affinity="ff" arch="x86_64" vendor="GenuineIntel">
    <pci busid="0000:01:00.0" class="0x060400" link_speed="16.0 GT/s PCIe" link_width="16">
      <pci busid="0000:02:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16">
        <gpu dev="0" sm="80" rank="0" gdr="1"><nvlink target="0000:03:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:03:00.0" class="0x030200" link_speed="16.0 GT/s PCIe" link_width="16">
        <gpu dev="1" sm="80" rank="1" gdr="1"><nvlink target="0000:02:00.0" count="4" tclass="0x030200"/></gpu>
      </pci>
      <pci busid="0000:04:00.0" class="0x020700" link_speed="16.0 GT/s PCIe" link_width="16">
        <nic><net name="mlx5_0" dev="0" speed="200000" port="1" gdr="1"/></nic>
      </pci>
    </pci>
  </cpu>
</system>
)";

Fault fault_of(std::string_view text) {
  try {
    import_topology(text, "mine", load_cluster("dgx-a100"));
  } catch (const UserError& error) {
    return error.fault();
  }
  FAIL("no error was raised");
  return {};
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  out.replace(out.find(from), from.size(), to);
  return out;
}

}  // namespace

TEST_CASE("an nvidia-smi matrix becomes a node with its switches and rails") {
  const ClusterSpec cluster = import_topology(kMatrix, "mine", load_cluster("dgx-a100"));
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

TEST_CASE("a matrix with few links a pair is a mesh") {
  std::string text(kMatrix);
  for (std::size_t at = text.find("NV12"); at != std::string::npos; at = text.find("NV12")) {
    text.replace(at, 4, "NV2");
  }
  const ClusterSpec cluster = import_topology(text, "mine", load_cluster("dgx-a100"));
  CHECK(cluster.node.scale_up == ScaleUp::kMesh);
  CHECK(cluster.node.scale_up_links == 6);
}

TEST_CASE("a line that is not understood is named") {
  const Fault cell = fault_of(replaced(kMatrix, "NV12\tNV12\tNV12\tPXB", "NV12\tFOO\tNV12\tPXB"));
  CHECK(cell.pointer == "line 2");
  CHECK(cell.found == "FOO");
  const Fault row = fault_of(replaced(kMatrix, "\nGPU2\t", "\nGPU7\t"));
  CHECK(row.pointer == "line 4");
  CHECK(fault_of("hello\n").problem != "");
}

TEST_CASE("an NCCL topology dump becomes a node") {
  const ClusterSpec cluster = import_topology(kXml, "mine.xml", load_cluster("dgx-a100"));
  CHECK(cluster.gpus_per_node == 2);
  CHECK(cluster.node.scale_up == ScaleUp::kMesh);
  CHECK(cluster.node.scale_up_links == 4);
  // 200000 Mb/s is 25 GB/s.
  CHECK(cluster.node.nic_bandwidth.value == doctest::Approx(25e9));
  const Fabric fabric = build_fabric(cluster, 4);
  // Four links of 25 GB/s at 91.7 %.
  CHECK(fabric.link(fabric.route({0}, {1}).front()).bandwidth.value == doctest::Approx(4 * 25e9 * 0.917));
  CHECK(fabric.route({0}, {2}).size() > 4);
}

TEST_CASE("hostile XML is refused") {
  CHECK(fault_of("<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>\n<system>&lol2;</system>")
            .pointer == "line 1");
  CHECK(fault_of("<system>\n<cpu>\n<pci busid='1'>\n</cpu></system>").problem == "the file is not well-formed XML");
  std::string deep = "<system><cpu>";
  for (int i = 0; i < 2000; ++i) {
    deep += "<pci busid=\"1\">";
  }
  for (int i = 0; i < 2000; ++i) {
    deep += "</pci>";
  }
  CHECK(fault_of(deep + "</cpu></system>").problem == "deeper than 32 levels");
  CHECK(fault_of("<system>" + std::string(std::size_t{17} << 20U, ' ') + "</system>").problem ==
        "the topology file is too large");
  CHECK(fault_of(replaced(kXml, "target=\"0000:03:00.0\"", "target=\"0000:99:00.0\"")).pointer == "line 5");
  CHECK(fault_of("<graphs/>").problem == "the root element is not <system>");
  CHECK(fault_of("<system><cpu/></system>").problem == "the system has no GPU");
}
