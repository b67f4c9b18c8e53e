#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/topologies/import_checks.hpp"
#include "topologies/topology_report.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_nccl_xml {

namespace {

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

std::string cpu_of(const std::string& host, int numa, const std::string& parts, const std::string& arch = "x86_64") {
  return fmt::format("<cpu host_hash=\"{}\" numaid=\"{}\" arch=\"{}\" vendor=\"\">{}</cpu>\n", host, numa, arch, parts);
}

std::string gpu_of(const std::string& bus, int dev, int sm, const std::string& links) {
  return fmt::format(
      "<pci busid=\"{}\" class=\"0x030200\" link_speed=\"\" link_width=\"0\"><gpu dev=\"{}\" sm=\"{}\">{}</gpu></pci>",
      bus, dev, sm, links);
}

std::string nic_of(const std::string& bus, const std::string& name, int speed) {
  return fmt::format(
      "<pci busid=\"{}\" class=\"0x020700\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\"><nic><net name=\"{}\" "
      "speed=\"{}\"/></nic></pci>",
      bus, name, speed);
}

ClusterSpec import_xml(const std::string& cpus, const std::string& cluster) {
  return import_topology("<system version=\"1\">\n" + cpus + "</system>", "mine.xml", like(cluster));
}

}  // namespace

TEST_CASE("an NCCL topology dump becomes a node") {
  const ClusterSpec cluster = import_topology(kXml, "mine.xml", like("dgx-a100"));
  CHECK(cluster.gpus_per_node == 2);
  CHECK(cluster.node.scale_up == ScaleUp::kMesh);
  CHECK(cluster.node.scale_up_links == 4);
  CHECK(cluster.cpu_vendor == "intel");
  // 200000 Mb/s is 25 GB/s.
  CHECK(cluster.node.nic_bandwidth.value == doctest::Approx(25e9));
  const Fabric fabric = build_fabric(cluster, 4);
  // Four links of 25 GB/s at 91.7 %.
  CHECK(fabric.link(fabric.route({0}, {1}).front()).bandwidth.value == doctest::Approx(4 * 25e9 * 0.917));
  CHECK(fabric.route({0}, {2}).size() > 4);
}

TEST_CASE("a file holds one system: what stands behind it or before it is refused") {
  const std::string xml(kXml);
  for (const std::string& bad : {xml + xml, xml + "trailing", xml + "<other/>", "<!-- a --> text " + xml,
                                 xml + std::string(1, '\0') + "more", xml + "<![CDATA[x]]>"}) {
    CAPTURE(bad);
    CHECK_FALSE(fault_of(bad).found.empty());
    CHECK(fault_of(bad).pointer.starts_with("line "));
  }
  CHECK(fault_of(xml + xml).problem.find("second document") != std::string::npos);
  CHECK(fault_of(xml + "\n trailing words\n").found == "trailing words");
  CHECK(fault_of("<!-- nothing -->").found == "no element");
  CHECK(fault_of("<?xml version=\"1.0\"?>\n<!-- a -->\n" + xml + "<!-- b -->\n\n").problem.empty());
}

TEST_CASE("every NIC has its own speed, and slow ones beside fast ones are left out") {
  const ClusterSpec cluster = imported("xml_slow_nic_last.xml", "dgx-h100");
  CHECK(cluster.node.nics == 8);
  CHECK(cluster.node.nic_bandwidth.value == doctest::Approx(50e9));
  CHECK(notes_of(cluster).find("eth0 and eth0 left out") != std::string::npos);
  // 48.5 of 50 GB/s for each GPU.
  CHECK(bisection(build_fabric(cluster, 16)).capacity.value == doctest::Approx(8 * 48.5e9));
  // At GPU0's own switch, too.
  std::string text = import_file("xml_slow_nic_last.xml");
  text = replaced(text, "<pci busid=\"0000:13:00.0\"",
                  "<pci busid=\"0000:14:00.0\" class=\"0x020000\"><nic><net name=\"eth1\" speed=\"10000\"/></nic></pci>"
                  "<pci busid=\"0000:13:00.0\"");
  CHECK(import_topology(text, "mine.xml", like("dgx-h100")).node.nics == 8);
}

TEST_CASE("links to GPUs outside the job are left out") {
  const ClusterSpec cluster = imported("xml_subset_of_gpus.xml", "dgx-1-v100");
  CHECK(cluster.gpus_per_node == 2);
  CHECK(notes_of(cluster).find("0000:0a:00.0") != std::string::npos);
  CHECK(path_of(build_fabric(cluster, 2), 0, 1).nvlink);
}

TEST_CASE("xGMI joins GPUs as NVLink does") {
  const Path path = path_of(build_fabric(imported("xml_xgmi.xml", "mi300x-8"), 4), 0, 1);
  CHECK(path.nvlink);
  CHECK(path.narrowest == doctest::Approx(64e9 * 0.75));
}

TEST_CASE("a file for NCCL_TOPO_FILE names devices by their class") {
  const ClusterSpec cluster = imported("xml_partial_topo_file.xml", "dgx-a100");
  CHECK(cluster.gpus_per_node == 1);
  CHECK(cluster.node.nics == 1);
  CHECK(cluster.node.nic_bandwidth.value == doctest::Approx(25e9));  // as in dgx-a100
  // Two GPUs without a word about links: the switch of dgx-a100.
  const std::string two = replaced(import_file("xml_partial_topo_file.xml"), "<pci busid=\"0101:00:00.0\"",
                                   "<pci busid=\"0002:00:00.0\" class=\"0x030200\"/><pci busid=\"0101:00:00.0\"");
  const ClusterSpec switched = import_topology(two, "mine.xml", like("dgx-a100"));
  CHECK(switched.node.scale_up == ScaleUp::kSwitch);
  CHECK(notes_of(switched).find("nothing of links between GPUs") != std::string::npos);
}

TEST_CASE("a dump of channels is refused in words") {
  const Fault fault = fault_of(import_file("xml_graph_dump.xml"));
  CHECK(fault.problem.find("NCCL_GRAPH_DUMP_FILE") != std::string::npos);
  CHECK(fault.remedy.find("NCCL_TOPO_DUMP_FILE") != std::string::npos);
}

TEST_CASE("NVLink to a processor is a way to the host") {
  const auto gpu = [](int own, int peer) {
    return gpu_of(fmt::format("000{}:04:00.0", own), own, 70,
                  fmt::format("<nvlink target=\"000{}:04:00.0\" count=\"3\" tclass=\"0x030200\"/>"
                              "<nvlink target=\"0004:00:00.0\" count=\"3\" tclass=\"0x068001\"/>",
                              peer));
  };
  const ClusterSpec cluster =
      import_xml(cpu_of("0x1", 0, gpu(0, 1) + gpu(1, 0), "ppc64") + cpu_of("0x1", 8, gpu(2, 3) + gpu(3, 2), "ppc64"),
                 "jean-zay-v100");
  const Fabric fabric = build_fabric(cluster, 4);
  CHECK(path_of(fabric, 0, 1).narrowest == doctest::Approx(3 * 25e9 * 0.93));
  CHECK_FALSE(path_of(fabric, 0, 2).nvlink);
  CHECK(cluster.node.host_link.value == doctest::Approx(3 * 25e9 * 0.93));
  CHECK(count_of(fabric, VertexKind::kCpu) == 2);
}

TEST_CASE("hosts that switches join are one node, others are nodes") {
  const auto gpu = [](int host, int dev, const std::string& links) {
    return gpu_of(fmt::format("000{}:01:00.0", dev), dev, host >= 0 ? 100 : 80, links) +
           nic_of(fmt::format("001{}:01:00.0", dev), fmt::format("mlx5_{}", dev), 400000);
  };
  const std::string links =
      "<nvlink target=\"fffffff:ffff:ff\" count=\"18\" tclass=\"0x068000\"/><c2c bw=\"45000\" count=\"10\"/>";
  std::string rack;
  for (int host = 0; host < 2; ++host) {
    for (int dev = 0; dev < 2; ++dev) {
      rack += cpu_of(fmt::format("0x{}", host), dev, gpu(host, dev, links), "arm64");
    }
  }
  const ClusterSpec cluster = import_xml(rack, "gb200-nvl72");
  CHECK(cluster.gpus_per_node == 72);  // the file shows four of the rack's GPUs
  CHECK(cluster.node.scale_up_links == 18);
  CHECK(cluster.node.host_link.value == doctest::Approx(450e9 * 0.8));
  CHECK(cluster.cpu_vendor == "arm");
  CHECK(build_fabric(cluster, 144).node_of({72}) == 1);
  CHECK(path_of(build_fabric(cluster, 8), 0, 3).nvlink);
  const std::string bus = "<nvlink target=\"0001:01:00.0\" count=\"4\" tclass=\"0x030200\"/>";
  const std::string back = "<nvlink target=\"0000:01:00.0\" count=\"4\" tclass=\"0x030200\"/>";
  std::string apart;
  for (int host = 0; host < 2; ++host) {
    apart += cpu_of(fmt::format("0x{}", host), 0, gpu(-1, 0, bus) + gpu(-1, 1, back));
  }
  CHECK(import_xml(apart, "dgx-a100").gpus_per_node == 2);
}

TEST_CASE("numbers of an XML file are read strictly") {
  CHECK(fault_of(replaced(kXml, "link_width=\"16\"", "link_width=\"-16\"")).pointer == "line 3");
  CHECK(fault_of(replaced(kXml, "link_width=\"16\"", "link_width=\"nan\"")).problem == "this attribute is no number");
  CHECK(fault_of(replaced(kXml, "link_speed=\"16.0 GT/s", "link_speed=\"-16.0 GT/s")).pointer == "line 3");
  CHECK(fault_of(replaced(kXml, "count=\"4\"", "count=\"-4\"")).pointer == "line 5");
  CHECK(fault_of(replaced(kXml, "count=\"4\"", "count=\"3\"")).problem == "links between two GPUs are not symmetric");
  CHECK(fault_of(replaced(kXml, "speed=\"200000\"", "speed=\"nan\"")).pointer == "line 11");
  CHECK(fault_of(replaced(kXml, "0000:03:00.0\" class", "0000:02:00.0\" class")).allowed == "every busid once");
  std::string many(kXml);
  many = replaced(replaced(many, "count=\"4\"", "count=\"40\""), "count=\"4\"", "count=\"40\"");
  CHECK(fault_of(many).allowed == "up to 12");
}

TEST_CASE("hostile XML is refused") {
  CHECK(fault_of("<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>\n<system>&lol2;</system>")
            .pointer == "line 1");
  CHECK(fault_of("<system>\n<cpu>\n<pci busid='1'>\n</cpu></system>").problem == "the file is not well-formed XML");
  std::string deep = "<system><cpu>";
  for (int i = 0; i < 2000; ++i) {
    deep += "<pci>";
  }
  for (int i = 0; i < 2000; ++i) {
    deep += "</pci>";
  }
  CHECK(fault_of(deep + "</cpu></system>").problem == "deeper than 32 levels");
  CHECK(fault_of("<system>" + std::string(std::size_t{17} << 20U, ' ') + "</system>").problem ==
        "the topology file is too large");
  CHECK(fault_of("<machine/>").problem == "the root element is not <system>");
  CHECK(fault_of("<system><cpu/></system>").problem == "the system has no GPU");
}

}  // namespace test_nccl_xml
