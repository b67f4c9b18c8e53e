// `nvidia-smi topo -m`: a matrix of what lies between any two devices. X is the device itself, NV# a bundle of #
// NVLinks, PIX and PXB PCIe bridges, PHB and NODE the same NUMA node, SYS another one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <numeric>
#include <span>

#include "sim/base/error.hpp"
#include "sim/base/text_start.hpp"
#include "topologies/importers/bundles.hpp"
#include "topologies/importers/finish_import.hpp"
#include "topologies/importers/imported_node.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/matrix_text.hpp"
#include "topologies/importers/nic_choice.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::pair<std::string_view, Affinity>, 5> kAffinities{{{"PIX", Affinity::kOneBridge},
                                                                            {"PXB", Affinity::kBridges},
                                                                            {"PHB", Affinity::kHostBridge},
                                                                            {"NODE", Affinity::kNode},
                                                                            {"SYS", Affinity::kSystem}}};

// NVLink hides what lies between two GPUs on PCIe: nothing is said of it.
std::optional<Affinity> affinity_of(std::string_view cell) {
  for (const auto& [word, affinity] : kAffinities) {
    if (word == cell) {
      return affinity;
    }
  }
  return std::nullopt;
}

// Classes of things that are joined pair by pair.
class Classes {
 public:
  explicit Classes(std::size_t count) : class_(count) { std::iota(class_.begin(), class_.end(), std::size_t{0}); }
  void join(std::size_t a, std::size_t b) {
    std::replace(class_.begin(), class_.end(), std::max(class_[a], class_[b]), std::min(class_[a], class_[b]));
  }
  // The first member of the class.
  std::size_t of(std::size_t i) const { return class_[i]; }

 private:
  std::vector<std::size_t> class_;
};

int first_number(const std::string& label) {
  int number = 0;
  std::from_chars(label.data(), label.data() + label.size(), number);
  return number;
}

class MatrixImport {
 public:
  MatrixImport(TopologyMatrix matrix, const std::string& file, const ImportBasis& basis)
      : matrix_(std::move(matrix)), file_(file), basis_(basis), like_(node_of(basis.like, file)) {
    node_.notes = matrix_.notes;
    rates_ = rates_of(basis_, like_, 0, node_.notes);
  }

  ClusterSpec run() {
    for (std::size_t g = 0; g < matrix_.gpus; ++g) {
      node_.gpus.push_back({.name = matrix_.names[g]});
    }
    add_nvlinks();
    choose();
    add_domains();
    add_switches();
    node_.says_nics = matrix_.names.size() > matrix_.gpus;
    return finish_import(std::move(node_), file_, basis_, like_, rates_);
  }

 private:
  bool within(std::size_t a, std::size_t b, Affinity farthest) const {
    const auto affinity = affinity_of(matrix_.cells[a][b]);
    return affinity && *affinity <= farthest;
  }

  void add_nvlinks() {
    std::vector<std::vector<int>> links(matrix_.gpus, std::vector<int>(matrix_.gpus));
    for (std::size_t a = 0; a < matrix_.gpus; ++a) {
      for (std::size_t b = 0; b < matrix_.gpus; ++b) {
        links[a][b] = nvlinks_in(matrix_.cells[a][b]);
      }
    }
    settle_bundles(links, rates_, like_.shape.traits.scale_up, file_, node_);
  }

  void choose() {
    const std::size_t nics = matrix_.names.size() - matrix_.gpus;
    NicCandidates candidates{
        .affinity = std::vector(matrix_.gpus, std::vector<Affinity>(nics, Affinity::kSystem)),
        .one_card = std::vector(nics, std::vector<char>(nics)),
        .like_per_gpu = static_cast<double>(like_.shape.nics.size()) / static_cast<double>(like_.shape.devices.size()),
        .slot = rates_.pcie.nominal * rates_.pcie.efficiency,
        .between_sockets = rates_.sockets.nominal * rates_.sockets.efficiency};
    candidates.rates.resize(nics);
    for (std::size_t n = 0; n < nics; ++n) {
      const std::size_t column = matrix_.gpus + n;
      candidates.names.push_back(matrix_.labels[column]);
      for (std::size_t g = 0; g < matrix_.gpus; ++g) {
        candidates.affinity[g][n] = affinity_of(matrix_.cells[g][column]).value_or(Affinity::kSystem);
      }
      for (std::size_t m = 0; m < nics; ++m) {
        candidates.one_card[n][m] = static_cast<char>(n != m && within(column, matrix_.gpus + m, Affinity::kOneBridge));
      }
      if (matrix_.labels[column].find("bond") != std::string::npos) {
        node_.notes.push_back(matrix_.labels[column] + " is a bond of ports: one NIC");
      }
    }
    for (const NicGroup& group : choose_nics(candidates, node_.notes)) {
      chosen_.push_back(matrix_.gpus + group.front());
      std::vector<std::string> names;
      for (const std::size_t nic : group) {
        names.push_back(candidates.names[nic]);
      }
      node_.nics.push_back({.name = listed(names), .ports = static_cast<int>(group.size())});
    }
  }

  // What the affinity columns call the NUMA node of a GPU; empty when they are not there.
  const std::string& label_of(std::size_t gpu) const {
    return matrix_.numa[gpu].empty() ? matrix_.cpus[gpu] : matrix_.numa[gpu];
  }

  void add_domains() {
    Classes classes(matrix_.names.size());
    bool numbered = true;
    bool labelled = true;
    for (std::size_t a = 0; a < matrix_.names.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const bool same_label = a < matrix_.gpus && !label_of(a).empty() && label_of(a) == label_of(b);
        if (same_label || within(a, b, Affinity::kNode)) {
          classes.join(a, b);
        }
      }
    }
    for (std::size_t g = 0; g < matrix_.gpus; ++g) {
      numbered = numbered && !matrix_.numa[g].empty();
      labelled = labelled && !label_of(g).empty();
    }
    std::map<std::size_t, int> domain;  // of classes with GPUs, in the order of these
    for (std::size_t g = 0; g < matrix_.gpus; ++g) {
      const auto [found, is_new] = domain.try_emplace(classes.of(g), static_cast<int>(node_.domains.size()));
      if (is_new) {
        node_.domains.push_back({.number = numbered ? first_number(label_of(g)) : static_cast<int>(domain.size()) - 1});
      }
      node_.gpus[g].place.domain = found->second;
    }
    if (!labelled && static_cast<int>(domain.size()) > like_.sockets) {
      node_.notes.push_back(fmt::format("the file does not say which socket GPUs belong to: spread over {} as in {}",
                                        like_.sockets, basis_.like.name));
      const int classes_of_gpus = static_cast<int>(domain.size());
      const auto spread = [&](int& of) { of = of * like_.sockets / classes_of_gpus; };
      for (ImportedNode::Gpu& gpu : node_.gpus) {
        spread(gpu.place.domain);
      }
      for (auto& [first, number] : domain) {
        spread(number);
      }
      node_.domains.resize(static_cast<std::size_t>(like_.sockets));
    }
    place_nics(classes, domain);
  }

  void place_nics(const Classes& classes, const std::map<std::size_t, int>& domain) {
    std::vector<std::string> far;
    for (std::size_t n = 0; n < chosen_.size(); ++n) {
      const auto found = domain.find(classes.of(chosen_[n]));
      const std::size_t spread = n * node_.domains.size() / chosen_.size();
      node_.nics[n].place.domain = found != domain.end() ? found->second : static_cast<int>(spread);
      if (found == domain.end()) {
        far.push_back(node_.nics[n].name);
      }
    }
    if (!far.empty() && node_.domains.size() > 1) {
      node_.notes.push_back(listed(far) + " as far from every GPU: spread over the sockets");
    }
  }

  ImportPlace& place_of(std::size_t device) {
    if (device < matrix_.gpus) {
      return node_.gpus[device].place;
    }
    const auto at = std::find(chosen_.begin(), chosen_.end(), device) - chosen_.begin();
    return node_.nics[static_cast<std::size_t>(at)].place;
  }

  // One switch for devices that bridges join, one below it for each part of them that a single bridge joins.
  void add_switches() {
    std::vector<std::size_t> devices(matrix_.gpus);
    std::iota(devices.begin(), devices.end(), std::size_t{0});
    devices.insert(devices.end(), chosen_.begin(), chosen_.end());
    Classes switches(matrix_.names.size());
    Classes single(matrix_.names.size());
    for (const std::size_t a : devices) {
      for (const std::size_t b : devices) {
        if (a != b && within(a, b, Affinity::kBridges)) {
          switches.join(a, b);
        }
        if (a != b && within(a, b, Affinity::kOneBridge)) {
          single.join(a, b);
        }
      }
    }
    if (chosen_.empty()) {
      join_as_like(switches);
    }
    std::map<std::size_t, std::map<std::size_t, std::vector<std::size_t>>> parts;
    for (const std::size_t device : devices) {
      parts[switches.of(device)][single.of(device)].push_back(device);
    }
    for (const auto& [first, members] : parts) {
      node_.bridges.push_back({.domain = place_of(first).domain});
      const int upper = static_cast<int>(node_.bridges.size()) - 1;
      for (const auto& [first_of_part, part] : members) {
        int bridge = upper;
        if (members.size() > 1 && part.size() > 1) {
          node_.bridges.push_back({.bridge = upper, .domain = place_of(first).domain});
          bridge = static_cast<int>(node_.bridges.size()) - 1;
        }
        for (const std::size_t device : part) {
          place_of(device).bridge = bridge;
          place_of(device).domain = place_of(first).domain;
        }
      }
    }
  }

  // Without NICs as witnesses, GPUs that NVLink joins may share a switch unseen: as many as in `like`.
  void join_as_like(Classes& switches) const {
    const Json& node = like_.document;
    const std::size_t per_switch =
        node.contains("pcie") ? node["pcie"].value("gpus_per_switch", std::size_t{1}) : std::size_t{1};
    for (std::size_t g = 1; g < matrix_.gpus; ++g) {
      const bool hidden = nvlinks_in(matrix_.cells[g - 1][g]) > 0;
      if (g % per_switch != 0 && hidden && node_.gpus[g - 1].place.domain == node_.gpus[g].place.domain) {
        switches.join(g - 1, g);
      }
    }
  }

  TopologyMatrix matrix_;
  const std::string& file_;
  const ImportBasis& basis_;
  LikeNode like_;
  LikeRates rates_;
  ImportedNode node_;
  std::vector<std::size_t> chosen_;  // of every NIC of the node: its row
};

}  // namespace

ClusterSpec import_nvidia_smi(std::string_view text, const std::string& file, const ImportBasis& basis) {
  return MatrixImport(read_topology_matrix(text, file), file, basis).run();
}

ClusterSpec import_topology(std::string_view text, const std::string& file, const ImportBasis& basis) {
  const std::size_t zero = text.find('\0');
  const bool marked = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  if (marked || zero != std::string_view::npos) {
    const auto line = marked ? 1 : 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(zero), '\n');
    throw UserError({.file = file,
                     .pointer = fmt::format("line {}", line),
                     .found = marked ? "the mark of UTF-16" : "a byte of zero, as UTF-16 has",
                     .allowed = "UTF-8 without bytes of zero",
                     .problem = "the topology is not UTF-8 text",
                     .remedy = "save it as UTF-8"});
  }
  return first_character(text) == '<' ? import_nccl_xml(text, file, basis) : import_nvidia_smi(text, file, basis);
}

}  // namespace trainyard
