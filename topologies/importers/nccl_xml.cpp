// NCCL_TOPO_DUMP_FILE: <system> of <cpu> of nested <pci>, whose leaves are <gpu> with <nvlink> and <nic> with <net>.
// Source of names and classes: NCCL 2.30 src/graph/xml.cc and topo.cc.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <pugixml.hpp>

#include "sim/base/error.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/node_document.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kLargestFile = std::size_t{16} << 20U;
constexpr int kDeepest = 32;
constexpr std::string_view kSwitchClass = "0x068000";

std::size_t line_of(std::string_view text, std::ptrdiff_t offset) {
  const auto end = std::min(text.size(), static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, offset)));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
}

[[noreturn]] void fail_at(const std::string& file, std::string_view text, std::ptrdiff_t offset, std::string found,
                          std::string problem) {
  throw UserError({.file = file,
                   .pointer = fmt::format("line {}", line_of(text, offset)),
                   .found = std::move(found),
                   .problem = std::move(problem),
                   .remedy = "dump it again with NCCL_TOPO_DUMP_FILE"});
}

// Payload of a PCIe slot in GB/s: lanes times the share of a lane that NCCL counts for each speed.
// Source: NCCL 2.30 src/graph/topo.cc, kvDictPciGen (60 stands for 16 GT/s x16 = 24 GB/s... over 80).
double pcie_rate(std::string_view speed, int width) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kSpeeds{{{"2.5 GT/s", 15.0},
                                                                        {"5 GT/s", 30.0},
                                                                        {"8 GT/s", 60.0},
                                                                        {"16 GT/s", 120.0},
                                                                        {"32 GT/s", 240.0},
                                                                        {"64 GT/s", 480.0}}};
  // Kernels write "16.0 GT/s PCIe" or "16 GT/s".
  std::string plain(speed);
  if (const std::size_t zero = plain.find(".0 "); zero != std::string::npos) {
    plain.erase(zero, 2);
  }
  for (const auto& [name, per_lane] : kSpeeds) {
    if (plain.starts_with(name)) {
      return (width > 0 ? width : 16) * per_lane / 80.0;
    }
  }
  return 12.0;  // NCCL's assumption for a speed it does not know: PCIe 3.0 x16
}

class XmlImport {
 public:
  XmlImport(std::string_view text, const std::string& file, const ClusterSpec& like)
      : text_(text), file_(file), like_(like), rates_(rates_of(like)) {}

  ClusterSpec run(const pugi::xml_node& system) {
    for (const pugi::xml_node& cpu : system.children()) {
      if (std::string_view(cpu.name()) == "cpu") {
        cpus_.push_back(document_.add_vertex(VertexKind::kCpu));
        visit_children(cpu, cpus_.back(), 1);
      } else {
        fail_at(file_, text_, cpu.offset_debug(), cpu.name(), "only <cpu> stands directly in <system>");
      }
    }
    for (std::size_t a = 0; a < cpus_.size(); ++a) {
      for (std::size_t b = a + 1; b < cpus_.size(); ++b) {
        document_.add_link(cpus_[a], cpus_[b], LinkKind::kCpuInterconnect, rates_.between_sockets, rates_.pcie_latency);
      }
    }
    if (gpus_.empty()) {
      fail_at(file_, text_, system.offset_debug(), "no <gpu>", "the system has no GPU");
    }
    add_nvlinks();
    if (traits_.pcie_bandwidth.value <= 0.0) {
      traits_.pcie_bandwidth = rates_.pcie;
    }
    return document_.finish(file_, like_, traits_);
  }

 private:
  struct NvLink {
    std::string from;
    std::string target;
    int count = 0;
    bool to_switch = false;
    std::ptrdiff_t offset = 0;
  };

  void visit_children(const pugi::xml_node& parent, int vertex, int depth) {
    if (depth > kDeepest) {
      fail_at(file_, text_, parent.offset_debug(), parent.name(), fmt::format("deeper than {} levels", kDeepest));
    }
    for (const pugi::xml_node& child : parent.children()) {
      const std::string_view name = child.name();
      if (name == "pci") {
        visit_pci(child, vertex, depth);
      } else if (name == "nic") {
        visit_nic(child, vertex);
      } else if (name != "gpu" && name != "pcilink" && name != "nvlink" && name != "c2c") {
        fail_at(file_, text_, child.offset_debug(), std::string(name), "unknown element");
      }
    }
  }

  void visit_pci(const pugi::xml_node& pci, int parent, int depth) {
    const BytesPerSecond rate{pcie_rate(pci.attribute("link_speed").value(), pci.attribute("link_width").as_int()) *
                              1e9};
    if (const pugi::xml_node gpu = pci.child("gpu")) {
      const int vertex = document_.add_vertex(VertexKind::kGpu);
      document_.add_link(vertex, parent, LinkKind::kPcie, rate, rates_.pcie_latency);
      traits_.pcie_bandwidth = rate * (15.75 / 12.0);  // back to the slot's nominal rate
      const std::string bus = pci.attribute("busid").value();
      gpus_.emplace_back(bus, vertex);
      for (const pugi::xml_node& nvlink : gpu.children("nvlink")) {
        nvlinks_.push_back({bus, nvlink.attribute("target").value(), nvlink.attribute("count").as_int(1),
                            std::string_view(nvlink.attribute("tclass").value()) == kSwitchClass,
                            nvlink.offset_debug()});
      }
      return;
    }
    const int vertex = document_.add_vertex(VertexKind::kPcieSwitch);
    document_.add_link(vertex, parent, LinkKind::kPcie, rate, rates_.pcie_latency);
    visit_children(pci, vertex, depth + 1);
  }

  void visit_nic(const pugi::xml_node& nic, int parent) {
    for (const pugi::xml_node& net : nic.children("net")) {
      const int vertex = document_.add_vertex(VertexKind::kNic);
      const double megabits = net.attribute("speed").as_double();
      // A speed of zero or less means unknown: NCCL takes 10 Gb/s.
      const BytesPerSecond rate{(megabits > 0.0 ? megabits : 10000.0) / 8000.0 * 1e9};
      document_.add_link(vertex, parent, LinkKind::kPcie, max(rate, rates_.pcie), rates_.pcie_latency);
      traits_.nic_bandwidth = rate;
      ++traits_.nics;
    }
  }

  void add_nvlinks() {
    traits_.scale_up = gpus_.size() > 1 ? ScaleUp::kPcie : ScaleUp::kNone;
    traits_.scale_up_link_bandwidth = like_.node.scale_up_link_bandwidth;
    traits_.scale_up_link_payload = rates_.nvlink;
    std::map<std::string, int> links_of;
    std::map<std::string, int> to_switch;
    for (const NvLink& link : nvlinks_) {
      links_of[link.from] += link.count;
      if (link.to_switch) {
        to_switch[link.from] += link.count;
      }
    }
    for (const auto& [bus, links] : links_of) {
      traits_.scale_up_links = std::max(traits_.scale_up_links, links);
    }
    if (!to_switch.empty()) {
      traits_.scale_up = ScaleUp::kSwitch;
      const int plane = document_.add_vertex(VertexKind::kNvSwitch);
      for (const auto& [bus, vertex] : gpus_) {
        if (to_switch[bus] > 0) {
          document_.add_link(vertex, plane, LinkKind::kNvLink, rates_.nvlink * to_switch[bus],
                             rates_.nvlink_latency / 2.0);
        }
      }
      return;
    }
    for (const NvLink& link : nvlinks_) {
      const auto a = vertex_of(link.from);
      const auto b = vertex_of(link.target);
      if (b < 0) {
        fail_at(file_, text_, link.offset, link.target, "an NVLink leads to a device that is not in the system");
      }
      traits_.scale_up = ScaleUp::kMesh;
      if (a < b) {  // both ends list the bundle
        document_.add_link(a, b, LinkKind::kNvLink, rates_.nvlink * link.count, rates_.nvlink_latency);
      }
    }
  }

  int vertex_of(const std::string& bus) const {
    const auto found = std::find_if(gpus_.begin(), gpus_.end(), [&](const auto& gpu) { return gpu.first == bus; });
    return found == gpus_.end() ? -1 : found->second;
  }

  std::string_view text_;
  const std::string& file_;
  const ClusterSpec& like_;
  LikeRates rates_;
  NodeDocument document_;
  NodeTraits traits_;
  std::vector<int> cpus_;
  std::vector<std::pair<std::string, int>> gpus_;
  std::vector<NvLink> nvlinks_;
};

}  // namespace

ClusterSpec import_nccl_xml(std::string_view text, const std::string& file, const ClusterSpec& like) {
  if (text.size() > kLargestFile) {
    throw UserError({.file = file,
                     .found = fmt::format("{} bytes", text.size()),
                     .allowed = fmt::format("up to {} bytes", kLargestFile),
                     .problem = "the topology file is too large"});
  }
  for (const std::string_view banned : {"<!DOCTYPE", "<!ENTITY"}) {
    if (const std::size_t at = text.find(banned); at != std::string_view::npos) {
      fail_at(file, text, static_cast<std::ptrdiff_t>(at), std::string(banned),
              "document type declarations and entities are refused");
    }
  }
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_buffer(text.data(), text.size());
  if (!result) {
    fail_at(file, text, result.offset, result.description(), "the file is not well-formed XML");
  }
  const pugi::xml_node system = document.child("system");
  if (!system) {
    fail_at(file, text, 0, document.first_child().name(), "the root element is not <system>");
  }
  return XmlImport(text, file, like).run(system);
}

}  // namespace trainyard
