// NCCL_TOPO_DUMP_FILE: <system> of <cpu> of nested <pci>, whose leaves are <gpu> with <nvlink>, <xgmi> or <c2c>, and
// <nic> with <net>. In files for NCCL_TOPO_FILE a leaf may be a <pci> of a GPU's or a NIC's class alone.
// Source of names and classes: NCCL 2.30 src/graph/xml.cc and topo.cc, RCCL's for <xgmi> and class 0x12.
#include "topologies/importers/nccl_system.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <pugixml.hpp>
#include <set>

#include "sim/base/error.hpp"
#include "topologies/importers/imported_node.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kLargestSystem = std::size_t{16} << 20U;
constexpr int kDeepest = 32;
constexpr int kMostLinks = 1024;
constexpr std::size_t kShownText = 40;  // characters of text that does not belong

bool is_gpu_class(std::string_view pci_class) {
  return pci_class.starts_with("0x03") || pci_class.starts_with("0x12");
}
bool is_nic_class(std::string_view pci_class) {
  return pci_class.starts_with("0x02");
}
constexpr std::string_view kSwitchClass = "0x068000";
constexpr std::string_view kPowerClass = "0x068001";  // a POWER processor's end of an NVLink

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = std::min(text.find_first_not_of(kBlanks), text.size());
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

class SystemReader {
 public:
  SystemReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  NcclSystem run(const pugi::xml_node& system) {
    for (const pugi::xml_node& cpu : system.children()) {
      if (std::string_view(cpu.name()) != "cpu") {
        fail(cpu, cpu.name(), "only <cpu> stands directly in <system>");
      }
      read_cpu(cpu);
      visit(cpu, -1, 1);
    }
    if (out_.gpus.empty()) {
      fail(system, "no <gpu>, nor a <pci> of a GPU's class", "the system has no GPU");
    }
    if (!ignored_.empty()) {
      out_.notes.push_back("elements not understood and left out: " +
                           listed(std::vector<std::string>(ignored_.begin(), ignored_.end())));
    }
    if (!unknown_slots_.empty()) {
      out_.notes.push_back(fmt::format("{} PCI devices do not say the speed of their slot", unknown_slots_.size()));
    }
    return std::move(out_);
  }

  [[noreturn]] void fail_at(std::ptrdiff_t offset, std::string found, std::string problem,
                            std::string allowed = "") const {
    throw UserError({.file = file_,
                     .pointer = fmt::format("line {}", line_of(offset)),
                     .found = std::move(found),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = "dump it again with NCCL_TOPO_DUMP_FILE"});
  }

 private:
  [[noreturn]] void fail(const pugi::xml_node& at, std::string found, std::string problem,
                         std::string allowed = "") const {
    fail_at(at.offset_debug(), std::move(found), std::move(problem), std::move(allowed));
  }

  std::size_t line_of(std::ptrdiff_t offset) const {
    const auto end = std::min(text_.size(), static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, offset)));
    return 1 +
           static_cast<std::size_t>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  }

  // A finite number; nothing where the attribute is missing or empty.
  std::optional<double> number(const pugi::xml_node& at, const char* name) const {
    const std::string_view value = at.attribute(name).value();
    if (value.empty()) {
      return std::nullopt;
    }
    double out = 0.0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error != std::errc() || end != value.data() + value.size() || !std::isfinite(out)) {
      fail(at, fmt::format("{}=\"{}\"", name, value), "this attribute is no number", "a finite number");
    }
    return out;
  }

  int whole(const pugi::xml_node& at, const char* name, int smallest, int largest, int otherwise) const {
    const std::optional<double> value = number(at, name);
    if (value && (*value != std::floor(*value) || *value < smallest || *value > largest)) {
      fail(at, fmt::format("{}=\"{}\"", name, at.attribute(name).value()), "this attribute is out of range",
           fmt::format("a whole number from {} to {}", smallest, largest));
    }
    return value ? static_cast<int>(*value) : otherwise;
  }

  void read_cpu(const pugi::xml_node& cpu) {
    NcclSystem::Cpu out{.host = cpu.attribute("host_hash").value(),
                        .numa = whole(cpu, "numaid", -1, 65535, static_cast<int>(out_.cpus.size())),
                        .arch = cpu.attribute("arch").value(),
                        .vendor = cpu.attribute("vendor").value(),
                        .line = line_of(cpu.offset_debug())};
    for (const NcclSystem::Cpu& other : out_.cpus) {
      if (other.host == out.host && other.numa == out.numa) {
        fail(cpu, fmt::format("numaid=\"{}\"", out.numa), "two <cpu> of a host have the same number",
             "every numaid once");
      }
    }
    out_.cpus.push_back(std::move(out));
  }

  void visit(const pugi::xml_node& parent, int bridge, int depth) {
    if (depth > kDeepest) {
      fail(parent, parent.name(), fmt::format("deeper than {} levels", kDeepest));
    }
    for (const pugi::xml_node& child : parent.children()) {
      const std::string_view name = child.name();
      if (name == "pci") {
        visit_pci(child, bridge, depth);
      } else if (name == "nic") {
        read_nets(child, bridge, -1, std::nullopt);
      } else if (child.type() == pugi::node_element) {
        ignored_.insert(fmt::format("<{}>", name));
      } else {
        fail(child, child.value(), "text between elements");
      }
    }
  }

  // Nominal rate of a slot and direction: PCIe's generations by x16. Source: PCI-SIG, after coding. Nothing where
  // neither the machine nor its hypervisor knows.
  std::optional<BytesPerSecond> slot_of(const pugi::xml_node& pci) {
    constexpr std::array<std::pair<double, double>, 6> kBySixteen{
        {{2.5, 4.0}, {5.0, 8.0}, {8.0, 15.75}, {16.0, 31.5}, {32.0, 63.0}, {64.0, 126.0}}};
    const int lanes = whole(pci, "link_width", 0, 32, 0);
    const std::string_view speed = pci.attribute("link_speed").value();
    double transfers = 0.0;
    const auto [end, error] = std::from_chars(speed.data(), speed.data() + speed.size(), transfers);
    if (error != std::errc()) {
      unknown_slots_.insert(pci.offset_debug());
      return std::nullopt;
    }
    for (const auto& [generation, rate] : kBySixteen) {
      if (generation == transfers) {
        return BytesPerSecond{rate * 1e9 * (lanes > 0 ? lanes : 16) / 16.0};  // NCCL too takes 0 for 16
      }
    }
    fail(pci, fmt::format("link_speed=\"{}\"", speed), "no generation of PCIe has this speed",
         "2.5, 5, 8, 16, 32 or 64 GT/s");
  }

  void visit_pci(const pugi::xml_node& pci, int parent, int depth) {
    const std::string bus = pci.attribute("busid").value();
    const std::string host = out_.cpus.back().host;
    if (!bus.empty() && !buses_.insert(host + " " + bus).second) {
      fail(pci, fmt::format("busid=\"{}\"", bus), "two PCI devices have the same bus id", "every busid once");
    }
    const std::string_view pci_class = pci.attribute("class").value();
    const bool has_parts = static_cast<bool>(pci.child("pci"));
    const int cpu = static_cast<int>(out_.cpus.size()) - 1;
    if (pci.child("gpu") || (is_gpu_class(pci_class) && !has_parts)) {
      read_gpu(pci, bus, parent);
    } else if (pci.child("nic")) {
      const std::optional<BytesPerSecond> slot = slot_of(pci);
      ++cards_;
      for (const pugi::xml_node& nic : pci.children("nic")) {
        read_nets(nic, parent, cards_, slot);
      }
    } else if (is_nic_class(pci_class) && !has_parts) {
      out_.nets.push_back({.name = bus, .cpu = cpu, .bridge = parent, .card = ++cards_, .slot = slot_of(pci)});
    } else if (has_parts) {
      out_.bridges.push_back({.cpu = cpu, .parent = parent, .slot = slot_of(pci)});
      visit(pci, static_cast<int>(out_.bridges.size()) - 1, depth + 1);
    } else if (pci_class.empty() || !pci_class.starts_with("0x0")) {
      ignored_.insert(fmt::format("<pci> of class \"{}\"", pci_class));
    }
  }

  void read_gpu(const pugi::xml_node& pci, const std::string& bus, int bridge) {
    const pugi::xml_node gpu = pci.child("gpu");
    NcclSystem::Gpu out{
        .bus = bus,
        .cpu = static_cast<int>(out_.cpus.size()) - 1,
        .bridge = bridge,
        .slot = slot_of(pci),
        .described = static_cast<bool>(gpu),
        .dev = whole(gpu, "dev", -1, 65535, -1),
        .sm = whole(gpu, "sm", -1, 65535, 0),
        .amd = static_cast<bool>(gpu.attribute("gcn")) || std::string_view(pci.attribute("vendor").value()) == "0x1002",
        .device = pci.attribute("device").value(),
        .line = line_of(pci.offset_debug())};
    for (const pugi::xml_node& child : gpu.children()) {
      const std::string_view name = child.name();
      if (name == "nvlink" || name == "xgmi") {
        out.links.push_back(read_link(child, name == "nvlink"));
      } else if (name == "c2c") {
        // NCCL multiplies the two: "bw" in MB/s of a link. Source: topo.cc, ncclTopoAddC2c.
        const int count = whole(child, "count", 1, kMostLinks, 1);
        const std::optional<double> each = number(child, "bw");
        if (each && *each <= 0.0) {
          fail(child, fmt::format("bw=\"{}\"", *each), "a link needs bandwidth", "MB/s, more than 0");
        }
        if (each) {
          out.chip_to_chip = BytesPerSecond{*each * count * 1e6};
        }
      } else {
        ignored_.insert(fmt::format("<{}>", name));
      }
    }
    out_.gpus.push_back(std::move(out));
  }

  NcclSystem::Link read_link(const pugi::xml_node& link, bool nvlink) {
    const std::string_view target_class = link.attribute("tclass").value();
    NcclSystem::Link out{.target = link.attribute("target").value(),
                         .count = whole(link, "count", 1, kMostLinks, 1),
                         .line = line_of(link.offset_debug()),
                         .nvlink = nvlink};
    // Where a hypervisor hides the switches their bus id is all ones.
    if (target_class == kSwitchClass || out.target.starts_with("fffffff:")) {
      out.to = NcclSystem::Link::To::kSwitch;
    } else if (target_class == kPowerClass) {
      out.to = NcclSystem::Link::To::kCpu;
    } else if (!target_class.empty() && !is_gpu_class(target_class)) {
      fail(link, fmt::format("tclass=\"{}\"", target_class), "links lead to GPUs, switches and processors",
           "0x03.... or 0x12...., 0x068000, 0x068001");
    }
    return out;
  }

  void read_nets(const pugi::xml_node& nic, int bridge, int card, std::optional<BytesPerSecond> slot) {
    for (const pugi::xml_node& net : nic.children()) {
      if (std::string_view(net.name()) != "net") {
        ignored_.insert(fmt::format("<{}>", net.name()));
        continue;
      }
      NcclSystem::Net out{.name = net.attribute("name").value(),
                          .cpu = static_cast<int>(out_.cpus.size()) - 1,
                          .bridge = bridge,
                          .card = card,
                          .slot = slot,
                          .described = true};
      if (const std::optional<double> megabits = number(net, "speed")) {
        constexpr double kUnknown = 10000.0;  // NCCL takes 10 Gb/s for a speed of zero or less
        if (*megabits <= 0.0) {
          out_.notes.push_back(out.name + " does not know its speed: 10 Gb/s, as NCCL takes it");
        }
        constexpr double kFastest = 1e8;  // 100 Tb/s
        if (*megabits > kFastest) {
          fail(net, fmt::format("speed=\"{}\"", net.attribute("speed").value()), "no NIC is so fast",
               fmt::format("up to {} Mb/s", kFastest));
        }
        out.rate = BytesPerSecond{(*megabits > 0.0 ? *megabits : kUnknown) / 8000.0 * 1e9};
      }
      out_.nets.push_back(std::move(out));
    }
  }

  std::string_view text_;
  const std::string& file_;
  NcclSystem out_;
  int cards_ = -1;
  std::set<std::string> buses_;
  std::set<std::string> ignored_;
  std::set<std::ptrdiff_t> unknown_slots_;
};

}  // namespace

NcclSystem read_nccl_system(std::string_view text, const std::string& file) {
  if (text.size() > kLargestSystem) {
    throw UserError({.file = file,
                     .found = fmt::format("{} bytes", text.size()),
                     .allowed = fmt::format("up to {} bytes", kLargestSystem),
                     .problem = "the topology file is too large"});
  }
  SystemReader reader(text, file);
  for (const std::string_view banned : {"<!DOCTYPE", "<!ENTITY"}) {
    if (const std::size_t at = text.find(banned); at != std::string_view::npos) {
      reader.fail_at(static_cast<std::ptrdiff_t>(at), std::string(banned),
                     "document type declarations and entities are refused");
    }
  }
  pugi::xml_document document;
  // As a fragment, whose text outside of elements is kept, so that it is seen.
  const pugi::xml_parse_result result =
      document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_fragment);
  if (!result) {
    reader.fail_at(result.offset, result.description(), "the file is not well-formed XML");
  }
  const pugi::xml_node root = document.document_element();
  if (std::string_view(root.name()) == "graphs") {
    reader.fail_at(root.offset_debug(), "<graphs>",
                   "this is a dump of NCCL's channels (NCCL_GRAPH_DUMP_FILE), which does not say what the machine is",
                   "a <system>");
  }
  if (std::string_view(root.name()) != "system") {
    reader.fail_at(root.offset_debug(), root ? fmt::format("<{}>", root.name()) : "no element",
                   "the root element is not <system>", "a <system>");
  }
  for (const pugi::xml_node& other : document.children()) {
    if (other.type() == pugi::node_element && other != root) {
      reader.fail_at(other.offset_debug(), fmt::format("<{}>", other.name()),
                     "a second document follows the first: hosts of one system are its <cpu>, told apart by host_hash",
                     "one <system> a file");
    }
    if (other != root) {
      reader.fail_at(other.offset_debug(), std::string(without_blanks(other.value())).substr(0, kShownText),
                     "text outside of the <system>", "one <system> and comments");
    }
  }
  return reader.run(root);
}

}  // namespace trainyard
