// From the elements of an NCCL topology file to a node.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/quantity_text.hpp"
#include "topologies/importers/finish_import.hpp"
#include "topologies/importers/imported_node.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/nccl_bridges.hpp"
#include "topologies/importers/nccl_system.hpp"
#include "topologies/importers/nic_choice.hpp"

namespace trainyard {
namespace {

using To = NcclSystem::Link::To;

class NcclImport {
 public:
  NcclImport(NcclSystem system, const std::string& file, const ImportBasis& basis)
      : system_(std::move(system)), file_(file), basis_(basis), like_(node_of(basis.like, file)) {
    node_.notes = std::move(system_.notes);
  }

  ClusterSpec run() {
    leave_out_undescribed();
    settle_hosts();
    sort_gpus();
    name_gpus();
    rates_ = rates_of(basis_, like_, generation(), node_.notes);
    add_domains();
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      node_.gpus.push_back({.name = gpu.bus, .place = {.domain = domain_of(gpu.cpu), .slot = gpu.slot}});
    }
    add_links();
    choose();
    add_bridges();
    node_.cpu_vendor = vendor();
    return finish_import(std::move(node_), file_, basis_, like_, rates_);
  }

 private:
  [[noreturn]] void fail(std::size_t line, std::string found, std::string allowed, std::string problem) const {
    throw UserError({.file = file_,
                     .pointer = fmt::format("line {}", line),
                     .found = std::move(found),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = "dump it again with NCCL_TOPO_DUMP_FILE"});
  }

  // In a dump NCCL describes what takes part: a device without description does not.
  void leave_out_undescribed() {
    const auto described = [](const auto& device) { return device.described; };
    // NCCL asks the driver for links that a file does not have: a file without any says nothing of them.
    node_.says_scale_up = std::any_of(system_.gpus.begin(), system_.gpus.end(),
                                      [](const NcclSystem::Gpu& gpu) { return !gpu.links.empty(); });
    if (std::any_of(system_.gpus.begin(), system_.gpus.end(), described)) {
      const std::size_t gone = std::erase_if(system_.gpus, [](const NcclSystem::Gpu& gpu) { return !gpu.described; });
      if (gone > 0) {
        node_.notes.push_back(fmt::format("{} GPUs without <gpu> left out: not in the job", gone));
      }
    }
    if (std::any_of(system_.nets.begin(), system_.nets.end(), described)) {
      const std::size_t gone = std::erase_if(system_.nets, [](const NcclSystem::Net& net) { return !net.described; });
      if (gone > 0) {
        node_.notes.push_back(fmt::format("{} NICs without <net> left out: NCCL does not use them", gone));
      }
    }
    node_.says_nics = !system_.nets.empty();
    leave_out_parts();
  }

  // "mlx5_0+mlx5_1" is one NIC of two ports, which may be listed on their own too.
  void leave_out_parts() {
    std::set<std::string> parts;
    for (const NcclSystem::Net& net : system_.nets) {
      for (std::size_t begin = 0; net.name.find('+') != std::string::npos && begin <= net.name.size();) {
        const std::size_t end = std::min(net.name.find('+', begin), net.name.size());
        parts.insert(net.name.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    std::vector<std::string> gone;
    std::erase_if(system_.nets, [&](const NcclSystem::Net& net) {
      if (parts.count(net.name) > 0) {
        gone.push_back(net.name);
      }
      return parts.count(net.name) > 0;
    });
    if (!gone.empty()) {
      node_.notes.push_back(listed(gone) + " left out: ports of NICs that NCCL has fused");
    }
  }

  int host_of(int cpu) const {
    int hosts = 0;
    std::map<std::string, int> number;
    for (int c = 0; c <= cpu; ++c) {
      const auto [found, is_new] = number.try_emplace(system_.cpus[static_cast<std::size_t>(c)].host, hosts);
      hosts += is_new ? 1 : 0;
      if (c == cpu) {
        return found->second;
      }
    }
    return 0;
  }

  // Hosts that NVLink switches join are one node, as a rack is; of other hosts the first stands for all, which must be
  // alike.
  void settle_hosts() {
    std::map<int, std::size_t> gpus_of_host;
    bool switched = false;
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      ++gpus_of_host[host_of(gpu.cpu)];
      switched = switched || std::any_of(gpu.links.begin(), gpu.links.end(),
                                         [](const NcclSystem::Link& link) { return link.to == To::kSwitch; });
    }
    if (gpus_of_host.size() < 2) {
      return;
    }
    if (switched) {
      node_.notes.push_back(fmt::format("{} hosts whose GPUs switches join: one node", gpus_of_host.size()));
      return;
    }
    const auto [first, count] = *gpus_of_host.begin();
    for (const auto& [host, gpus] : gpus_of_host) {
      if (gpus != count) {
        fail(system_.cpus.front().line, fmt::format("hosts of {} and {} GPUs", count, gpus), "hosts that are alike",
             "the file is of several hosts that no switch of NVLink joins");
      }
    }
    node_.notes.push_back(
        fmt::format("{} hosts of {} GPUs: nodes of the cluster, the first stands for all", gpus_of_host.size(), count));
    const int kept = first;
    std::erase_if(system_.gpus, [&](const NcclSystem::Gpu& gpu) { return host_of(gpu.cpu) != kept; });
    std::erase_if(system_.nets, [&](const NcclSystem::Net& net) { return host_of(net.cpu) != kept; });
  }

  // Of the hosts that are left.
  void add_domains() {
    std::set<int> hosts;
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      hosts.insert(host_of(gpu.cpu));
    }
    domain_of_cpu_.assign(system_.cpus.size(), -1);
    for (std::size_t c = 0; c < system_.cpus.size(); ++c) {
      const auto host = hosts.find(host_of(static_cast<int>(c)));
      if (host != hosts.end()) {
        domain_of_cpu_[c] = static_cast<int>(node_.domains.size());
        node_.domains.push_back({.host = static_cast<int>(std::distance(hosts.begin(), host)),
                                 .number = std::max(0, system_.cpus[c].numa)});
      }
    }
  }

  int domain_of(int cpu) const { return domain_of_cpu_[static_cast<std::size_t>(cpu)]; }

  // CUDA's numbers, which --path and ranks mean, need not follow the PCIe tree.
  void sort_gpus() {
    std::set<std::pair<int, int>> numbers;
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      numbers.insert({host_of(gpu.cpu), gpu.dev});
      if (gpu.dev < 0) {
        return;
      }
    }
    if (numbers.size() == system_.gpus.size()) {
      std::stable_sort(system_.gpus.begin(), system_.gpus.end(), [&](const auto& a, const auto& b) {
        return std::pair(host_of(a.cpu), a.dev) < std::pair(host_of(b.cpu), b.dev);
      });
    }
  }

  void name_gpus() {
    const NcclSystem::Gpu& gpu = system_.gpus.front();
    const std::string what = gpu.device.empty() ? "" : fmt::format(" (PCI device {})", gpu.device);
    node_.notes.push_back(fmt::format("the file does not name its GPUs{}: taken for {}", what, basis_.gpu.name));
    if (gpu.amd != (basis_.gpu.vendor == "amd")) {
      node_.notes.push_back(fmt::format("its GPUs are {} AMD's, {} is {}'s: name another cluster by --like",
                                        gpu.amd ? "" : "not", basis_.gpu.name, basis_.gpu.vendor));
    }
  }

  int generation() const {
    const NcclSystem::Gpu& gpu = system_.gpus.front();
    return gpu.amd || gpu.sm <= 0 ? 0 : gpu.sm;
  }

  void add_links() {
    const std::size_t n = system_.gpus.size();
    std::map<std::pair<int, std::string>, std::size_t> number;
    for (std::size_t g = 0; g < n; ++g) {
      number[{host_of(system_.gpus[g].cpu), system_.gpus[g].bus}] = g;
    }
    std::vector<std::vector<int>> links(n, std::vector<int>(n));
    std::set<std::string> absent;
    for (std::size_t g = 0; g < n; ++g) {
      const NcclSystem::Gpu& gpu = system_.gpus[g];
      int total = 0;
      int to_cpu = 0;
      bool nvlink = true;
      for (const NcclSystem::Link& link : gpu.links) {
        nvlink = link.nvlink;
        total += link.count;
        const auto target = number.find({host_of(gpu.cpu), link.target});
        if (link.to == To::kSwitch) {
          node_.gpus[g].to_switch += link.count;
        } else if (link.to == To::kCpu) {
          to_cpu += link.count;
        } else if (target == number.end()) {
          absent.insert(link.target);
        } else if (target->second == g) {
          fail(link.line, link.target, "another GPU", "a GPU's link leads to itself");
        } else {
          links[g][target->second] += link.count;
        }
      }
      check_total(gpu, total, nvlink);
      add_to_socket(gpu, to_cpu, node_.gpus[g]);
    }
    if (!absent.empty()) {
      node_.notes.push_back(fmt::format("links to {} left out: not GPUs of this file, as NCCL does",
                                        listed(std::vector<std::string>(absent.begin(), absent.end()))));
    }
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = a + 1; b < n; ++b) {
        if (links[a][b] != links[b][a]) {
          fail(system_.gpus[b].line,
               fmt::format("{} links from {} to {}, {} back", links[a][b], system_.gpus[a].bus, system_.gpus[b].bus,
                           links[b][a]),
               "the same both ways", "links between two GPUs are not symmetric");
        }
        if (links[a][b] > 0) {
          node_.bundles.push_back({static_cast<int>(a), static_cast<int>(b), links[a][b]});
        }
      }
    }
  }

  // Links between the dies of a package count beside those of xGMI, so that only NVLink has a known end.
  void check_total(const NcclSystem::Gpu& gpu, int total, bool nvlink) {
    if (total <= rates_.most_links) {
      return;
    }
    if (nvlink) {
      fail(gpu.line, fmt::format("{} NVLinks of {}", total, gpu.bus), fmt::format("up to {}", rates_.most_links),
           fmt::format("{} has fewer NVLinks than the file says: name a cluster with the file's GPU by --like",
                       rates_.scale_up_from));
    }
    const std::string note =
        fmt::format("{} has {} links of xGMI, {} counts {}", gpu.bus, total, rates_.scale_up_from, rates_.most_links);
    node_.notes.push_back(note);
  }

  void add_to_socket(const NcclSystem::Gpu& gpu, int nvlinks, ImportedNode::Gpu& out) const {
    const double share = rates_.chip_to_chip ? rates_.chip_to_chip->efficiency : 1.0;
    if (gpu.chip_to_chip) {
      out.to_socket = *gpu.chip_to_chip * share;
    } else if (nvlinks > 0) {
      out.to_socket = rates_.scale_up.nominal * rates_.scale_up.efficiency * nvlinks;
    }
  }

  // Bridges from a device up to its socket.
  std::vector<int> chain_of(int bridge) const {
    std::vector<int> chain;
    for (; bridge >= 0; bridge = system_.bridges[static_cast<std::size_t>(bridge)].parent) {
      chain.push_back(bridge);
    }
    return chain;
  }

  Affinity affinity(int cpu_a, int bridge_a, const NcclSystem::Net& net) const {
    if (cpu_a != net.cpu) {
      return Affinity::kSystem;
    }
    const std::vector<int> a = chain_of(bridge_a);
    const std::vector<int> b = chain_of(net.bridge);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const auto meeting = std::find(b.begin(), b.end(), a[i]);
      if (meeting != b.end()) {
        return i + static_cast<std::size_t>(meeting - b.begin()) == 0 ? Affinity::kOneBridge : Affinity::kBridges;
      }
    }
    return net.card < 0 ? Affinity::kNode : Affinity::kHostBridge;
  }

  void choose() {
    const std::size_t nics = system_.nets.size();
    NicCandidates candidates{
        .one_card = std::vector(nics, std::vector<char>(nics)),
        .like_per_gpu = static_cast<double>(like_.shape.nics.size()) / static_cast<double>(like_.shape.devices.size()),
        .slot = rates_.pcie.nominal * rates_.pcie.efficiency,
        .between_sockets = rates_.sockets.nominal * rates_.sockets.efficiency};
    for (const NcclSystem::Net& net : system_.nets) {
      candidates.names.push_back(net.name);
      candidates.rates.push_back(net.rate);
    }
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      candidates.affinity.emplace_back();
      for (const NcclSystem::Net& net : system_.nets) {
        candidates.affinity.back().push_back(affinity(gpu.cpu, gpu.bridge, net));
      }
    }
    for (std::size_t n = 0; n < nics; ++n) {
      for (std::size_t m = 0; m < nics; ++m) {
        candidates.one_card[n][m] =
            static_cast<char>(n != m && system_.nets[n].card >= 0 && system_.nets[n].card == system_.nets[m].card);
      }
    }
    for (const NicGroup& group : choose_nics(candidates, node_.notes)) {
      const NcclSystem::Net& first = system_.nets[group.front()];
      ImportedNode::Nic nic{.place = {.bridge = first.bridge, .domain = domain_of(first.cpu), .slot = first.slot},
                            .ports = static_cast<int>(group.size())};
      std::vector<std::string> names;
      for (const std::size_t n : group) {
        names.push_back(system_.nets[n].name);
        if (system_.nets[n].rate) {
          nic.rate = nic.rate.value_or(BytesPerSecond{}) + *system_.nets[n].rate;
        }
      }
      nic.name = listed(names);
      node_.nics.push_back(std::move(nic));
    }
  }

  void add_bridges() {
    std::vector<int> used;
    for (const NcclSystem::Gpu& gpu : system_.gpus) {
      used.push_back(gpu.bridge);
    }
    for (const ImportedNode::Nic& nic : node_.nics) {
      used.push_back(nic.place.bridge);
    }
    const BridgeTree tree = contract_bridges(system_.bridges, used);
    for (const BridgeTree::Bridge& bridge : tree.bridges) {
      node_.bridges.push_back({.bridge = bridge.parent, .domain = domain_of(bridge.cpu), .slot = bridge.slot});
    }
    for (std::size_t g = 0; g < system_.gpus.size(); ++g) {
      node_.gpus[g].place.bridge = tree.of(system_.gpus[g].bridge);
    }
    for (ImportedNode::Nic& nic : node_.nics) {
      nic.place.bridge = tree.of(nic.place.bridge);
    }
  }

  std::string vendor() {
    const NcclSystem::Cpu& cpu = system_.cpus.front();
    if (cpu.arch == "arm64") {
      return "arm";
    }
    if (cpu.vendor == "GenuineIntel") {
      return "intel";
    }
    if (cpu.vendor == "AuthenticAMD") {
      return "amd";
    }
    if (!cpu.arch.empty()) {
      node_.notes.push_back(fmt::format("processors of architecture {}, vendor {}: NCCL's limits taken as for {}'s",
                                        cpu.arch, cpu.vendor.empty() ? "unknown" : cpu.vendor, basis_.like.cpu_vendor));
    }
    return "";
  }

  NcclSystem system_;
  const std::string& file_;
  const ImportBasis& basis_;
  LikeNode like_;
  LikeRates rates_;
  ImportedNode node_;
  std::vector<int> domain_of_cpu_;  // -1: of a host that is left out
};

}  // namespace

ClusterSpec import_nccl_xml(std::string_view text, const std::string& file, const ImportBasis& basis) {
  return NcclImport(read_nccl_system(text, file), file, basis).run();
}

}  // namespace trainyard
