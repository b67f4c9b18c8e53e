#include "topologies/importers/finish_import.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/quantity_text.hpp"
#include "topologies/importers/scale_up.hpp"

namespace trainyard {
namespace {

// Twelve digits tell every rate of hardware from its neighbours, and no rounding of powers of ten shows.
std::string rate_text(BytesPerSecond rate) {
  return fmt::format("{:.12g} GB/s", rate.value / 1e9);
}

std::string time_text(Seconds time) {
  return fmt::format("{:.12g} us", time.value * 1e6);
}

Json rate_json(const LinkRate& rate) {
  return {{"bandwidth", rate_text(rate.nominal)},
          {"efficiency", Json(std::stod(fmt::format("{:.12g}", rate.efficiency)))},
          {"latency", time_text(rate.latency)}};
}

// The socket of every NUMA node, numbered through all hosts. A host with more NUMA nodes than `like` has sockets is of
// such sockets, divided into NUMA nodes of equal number (sub-NUMA clustering, nodes per socket).
std::vector<int> sockets_of(ImportedNode& node, const LikeNode& like, const std::string& like_name) {
  std::vector<int> out(node.domains.size());
  int first = 0;
  int hosts = 0;
  for (const ImportDomain& domain : node.domains) {
    hosts = std::max(hosts, domain.host + 1);
  }
  for (int host = 0; host < hosts; ++host) {
    std::vector<std::size_t> here;
    int numbers = 0;
    for (std::size_t d = 0; d < node.domains.size(); ++d) {
      if (node.domains[d].host == host) {
        here.push_back(d);
        numbers = std::max(numbers, std::max(node.domains[d].numbers, node.domains[d].number + 1));
      }
    }
    const bool divided = like.sockets > 1 && static_cast<int>(here.size()) > like.sockets;
    const int per_socket = divided ? (numbers + like.sockets - 1) / like.sockets : 1;
    std::map<int, int> sockets;
    for (const std::size_t d : here) {
      const int key = divided ? node.domains[d].number / per_socket : static_cast<int>(d);
      out[d] = first + sockets.try_emplace(key, static_cast<int>(sockets.size())).first->second;
    }
    if (divided && host == 0) {
      node.notes.push_back(fmt::format("{} NUMA nodes taken as parts of {} sockets, as many as {} has", here.size(),
                                       sockets.size(), like_name));
    }
    first += static_cast<int>(sockets.size());
  }
  return out;
}

class Emission {
 public:
  Emission(ImportedNode node, const std::string& file, const ImportBasis& basis, const LikeNode& like,
           const LikeRates& rates)
      : node_(std::move(node)), file_(file), basis_(basis), like_(like), rates_(rates) {}

  ClusterSpec run() {
    if (!node_.says_scale_up) {
      take_scale_up_of(like_, basis_.like.name, node_);
    }
    if (!node_.says_nics) {
      take_nics();
    }
    settle_nics();
    for (std::size_t g = 0; g < node_.gpus.size(); ++g) {
      add_vertex(VertexKind::kGpu);
    }
    add_scale_up();
    add_host();
    add_nics();
    return finish();
  }

 private:
  int add_vertex(VertexKind kind) {
    vertices_.push_back(kVertexKindNames.name_of(kind));
    return static_cast<int>(vertices_.size()) - 1;
  }

  void add_link(int a, int b, LinkKind kind, const LinkRate& rate, int links = 1) {
    Json link = {{"from", a}, {"to", b}, {"kind", kLinkKindNames.name_of(kind)}};
    if (links > 1) {
      link["links"] = links;
    }
    link.update(rate_json(rate));
    links_.push_back(std::move(link));
  }

  LinkRate slot_of(const ImportPlace& place) const {
    LinkRate rate = rates_.pcie;
    rate.nominal = place.slot.value_or(rate.nominal);
    return rate;
  }

  // As many for each GPU as `like` has, dealt out to the GPUs' switches as its generator does.
  void take_nics() {
    const std::size_t of_like = like_.shape.nics.size();
    const std::size_t gpus = node_.gpus.size();
    const std::size_t count = (of_like * gpus + like_.shape.devices.size() - 1) / like_.shape.devices.size();
    for (std::size_t n = 0; n < count; ++n) {
      ImportPlace place = node_.gpus[n * gpus / count].place;
      place.slot.reset();
      node_.nics.push_back({.name = fmt::format("NIC {} of {}", n, basis_.like.name), .place = place});
    }
    node_.notes.push_back(
        count == 0 ? fmt::format("no NICs: the file names none, nor has {} any", basis_.like.name)
                   : fmt::format("the file says nothing of NICs: {} as {} has them", count, basis_.like.name));
  }

  // NICs without a rate need one of `like`.
  void settle_nics() {
    const bool known = like_.document.contains("nics");
    const std::size_t before = node_.nics.size();
    std::erase_if(node_.nics, [&](const ImportedNode::Nic& nic) { return !nic.rate && !known; });
    if (node_.nics.size() < before) {
      node_.notes.push_back(fmt::format("{} NICs left out: {} has none to take their rate from",
                                        before - node_.nics.size(), basis_.like.name));
    }
    if (node_.says_nics && node_.nics.empty()) {
      node_.notes.push_back("no NIC is left: one node only");
    }
  }

  void add_scale_up() {
    std::map<int, std::vector<int>> planes;
    for (std::size_t g = 0; g < node_.gpus.size(); ++g) {
      if (node_.gpus[g].to_switch > 0) {
        planes[node_.gpus[g].plane].push_back(static_cast<int>(g));
      }
    }
    std::vector<int> links_of(node_.gpus.size());
    LinkRate half = rates_.scale_up;
    half.latency = half.latency / 2.0;  // on either side of the switch
    scale_up_ = node_.gpus.size() > 1 ? ScaleUp::kPcie : ScaleUp::kNone;
    for (const ImportedNode::Bundle& bundle : node_.bundles) {
      scale_up_ = ScaleUp::kMesh;
      add_link(bundle.a, bundle.b, LinkKind::kNvLink, rates_.scale_up, bundle.links);
      links_of[static_cast<std::size_t>(bundle.a)] += bundle.links;
      links_of[static_cast<std::size_t>(bundle.b)] += bundle.links;
    }
    for (const auto& [number, gpus] : planes) {
      if (gpus.size() > 1) {
        scale_up_ = ScaleUp::kSwitch;
      }
      const int plane = add_vertex(VertexKind::kNvSwitch);
      for (const int g : gpus) {
        const int links = node_.gpus[static_cast<std::size_t>(g)].to_switch;
        add_link(g, plane, LinkKind::kNvLink, half, links);
        links_of[static_cast<std::size_t>(g)] += links;
      }
    }
    links_of_gpu_ = *std::max_element(links_of.begin(), links_of.end());
  }

  int above(const ImportPlace& place) const {
    return place.bridge >= 0 ? bridge_[static_cast<std::size_t>(place.bridge)]
                             : cpu_[static_cast<std::size_t>(socket_[static_cast<std::size_t>(place.domain)])];
  }

  void add_host() {
    socket_ = sockets_of(node_, like_, basis_.like.name);
    const int sockets = *std::max_element(socket_.begin(), socket_.end()) + 1;
    std::vector<int> host(static_cast<std::size_t>(sockets));
    for (std::size_t d = 0; d < socket_.size(); ++d) {
      host[static_cast<std::size_t>(socket_[d])] = node_.domains[d].host;
    }
    for (int s = 0; s < sockets; ++s) {
      cpu_.push_back(add_vertex(VertexKind::kCpu));
    }
    for (std::size_t a = 0; a < cpu_.size(); ++a) {
      for (std::size_t b = a + 1; b < cpu_.size(); ++b) {
        if (host[a] == host[b]) {
          sockets_joined_ = true;
          add_link(cpu_[a], cpu_[b], LinkKind::kCpuInterconnect, rates_.sockets);
        }
      }
    }
    // A link between chips goes before a slot, as it does in the catalogue's nodes, whose slots are behind switches.
    for (ImportedNode::Gpu& gpu : node_.gpus) {
      if (gpu.place.bridge < 0 && (gpu.to_socket || rates_.chip_to_chip)) {
        node_.bridges.push_back(gpu.place);
        gpu.place.bridge = static_cast<int>(node_.bridges.size()) - 1;
      }
    }
    for (const ImportPlace& place : node_.bridges) {
      bridge_.push_back(add_vertex(VertexKind::kPcieSwitch));
      add_link(bridge_.back(), above(place), LinkKind::kPcie, slot_of(place));
    }
    for (std::size_t g = 0; g < node_.gpus.size(); ++g) {
      add_link(static_cast<int>(g), above(node_.gpus[g].place), LinkKind::kPcie, slot_of(node_.gpus[g].place));
    }
    add_chip_to_chip();
  }

  void add_chip_to_chip() {
    const bool stated = std::any_of(node_.gpus.begin(), node_.gpus.end(),
                                    [](const ImportedNode::Gpu& gpu) { return gpu.to_socket.has_value(); });
    if (!stated && !rates_.chip_to_chip) {
      return;
    }
    if (!stated) {
      node_.notes.push_back(
          fmt::format("the file says nothing of links between chips of a package: as {} has them", basis_.like.name));
    }
    for (std::size_t g = 0; g < node_.gpus.size(); ++g) {
      const ImportedNode::Gpu& gpu = node_.gpus[g];
      const int cpu = cpu_[static_cast<std::size_t>(socket_[static_cast<std::size_t>(gpu.place.domain)])];
      if (!stated) {
        add_link(static_cast<int>(g), cpu, LinkKind::kChipToChip, *rates_.chip_to_chip);
      } else if (gpu.to_socket) {
        add_link(static_cast<int>(g), cpu, LinkKind::kChipToChip,
                 {.nominal = *gpu.to_socket, .latency = rates_.scale_up.latency / 2.0});
      }
    }
  }

  void add_nics() {
    const Json& port = like_.document.contains("nics") ? like_.document["nics"] : Json();
    ports_ = port.is_null() ? Json{{"latency", "1 us"}} : port;
    ports_.erase("count");
    ports_.erase("source");
    BytesPerSecond usual{};  // of most: the slowest of those that say
    for (const ImportedNode::Nic& nic : node_.nics) {
      if (nic.rate) {
        usual = usual.value > 0.0 ? min(usual, *nic.rate) : *nic.rate;
      }
    }
    if (usual.value > 0.0) {
      ports_["bandwidth"] = rate_text(usual);
      ports_.erase("links");
    }
    if (node_.nics.empty()) {
      return;
    }
    const LinkReading reading = read_link(JsonReader(ports_, file_));
    const double share = reading.payload / reading.nominal;
    for (const ImportedNode::Nic& nic : node_.nics) {
      const int vertex = add_vertex(VertexKind::kNic);
      const BytesPerSecond nominal = nic.rate.value_or(reading.nominal);
      if (nominal.value != reading.nominal.value) {
        vertices_.back() = {{"kind", "nic"}, {"bandwidth", rate_text(nominal)}};
      }
      LinkRate slot = slot_of(nic.place);
      // A slot that the file says nothing of, or several ports': at least as fast as what it is for.
      if ((!nic.place.slot || nic.ports > 1) && slot.nominal.value * slot.efficiency < nominal.value * share) {
        slot.nominal = nominal * (share / slot.efficiency);
      }
      add_link(vertex, above(nic.place), LinkKind::kPcie, slot);
    }
  }

  BytesPerSecond slowest_slot() const {
    BytesPerSecond slowest{};
    for (const ImportedNode::Gpu& gpu : node_.gpus) {
      const BytesPerSecond slot = gpu.place.slot.value_or(rates_.pcie.nominal);
      slowest = slowest.value > 0.0 ? min(slowest, slot) : slot;
    }
    return slowest;
  }

  // A profile without rates of links between GPUs would price them as PCIe.
  void take_profile(Json& document) {
    const bool had_links = like_.shape.traits.scale_up_links > 0;
    if (!had_links && links_of_gpu_ > 0 && basis_.linked) {
      document["collective_profile"] = basis_.linked->collective_profile;
      document["collective_calibration"] = basis_.linked->collective_calibration;
      if (basis_.linked->collective_calibration.empty()) {
        document.erase("collective_calibration");
      }
      node_.notes.push_back(
          fmt::format("{} has no links between GPUs: latency, payload share and what the collective "
                      "library counts of them as in {}",
                      basis_.like.name, basis_.linked->name));
    }
  }

  ClusterSpec finish() {
    Json node = {{"generator", "explicit-node"}, {"scale_up", kScaleUpNames.name_of(scale_up_)}};
    if (links_of_gpu_ > 0) {
      node["scale_up_links"] = links_of_gpu_;
      node["scale_up_link_bandwidth"] = rate_text(rates_.scale_up.nominal);
      node["scale_up_link_payload"] = rate_text(rates_.scale_up.nominal * rates_.scale_up.efficiency);
    }
    node["pcie_bandwidth"] = rate_text(slowest_slot());
    if (sockets_joined_) {
      node["cpu_interconnect_bandwidth"] = rate_text(rates_.sockets.nominal);
    }
    node["vertices"] = vertices_;
    node["links"] = links_;
    if (like_.document.contains("host")) {
      node["host"] = like_.document["host"];
    }
    if (!node_.nics.empty()) {
      node["nics"] = ports_;
    }
    Json document = basis_.like.document;
    const bool as_many = like_.shape.devices.size() == node_.gpus.size();
    if (document.contains("node_groups") || !as_many) {
      document.erase("job_gpus_per_node");
      document.erase("gpus_per_host");
    }
    document.erase("node_groups");
    document.erase("source");
    if (!document.contains("network")) {
      document["largest"] = node_.gpus.size();
    }
    take_profile(document);
    if (!node_.cpu_vendor.empty()) {
      document["cpu_vendor"] = node_.cpu_vendor;
    }
    document["description"] = fmt::format("imported from {}, what it leaves out as in {}", file_, basis_.like.name);
    document["notes"] = node_.notes;
    document["node"] = std::move(node);
    try {
      return read_cluster(JsonReader(document, file_), std::filesystem::path(file_).stem().string());
    } catch (const UserError& error) {
      // Its place is one of the document made here, which nobody has seen.
      throw UserError({.file = file_,
                       .allowed = error.fault().allowed,
                       .problem = fmt::format("what the file describes is no node: {}", error.fault().problem),
                       .remedy = "add what is missing to the file, or take out the devices that nothing joins"},
                      error.code());
    }
  }

  ImportedNode node_;
  const std::string& file_;
  const ImportBasis& basis_;
  const LikeNode& like_;
  const LikeRates& rates_;
  Json vertices_ = Json::array();
  Json links_ = Json::array();
  Json ports_;
  std::vector<int> socket_;  // of every domain
  std::vector<int> cpu_;     // vertices
  std::vector<int> bridge_;
  ScaleUp scale_up_ = ScaleUp::kNone;
  int links_of_gpu_ = 0;
  bool sockets_joined_ = false;
};

}  // namespace

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return out;
}

ClusterSpec finish_import(ImportedNode node, const std::string& file, const ImportBasis& basis, const LikeNode& like,
                          const LikeRates& rates) {
  note_broken_links(node);
  complete_domain(basis, like, node);
  return Emission(std::move(node), file, basis, like, rates).run();
}

}  // namespace trainyard
