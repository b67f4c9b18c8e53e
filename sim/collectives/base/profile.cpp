#include "sim/collectives/base/profile.hpp"

#include <mutex>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kProfiles = "sim/collectives/profiles";
constexpr std::string_view kVersions = "sim/collectives/nccl";
constexpr double kLargestTableEntry = 1e6;

std::vector<double> read_numbers(const JsonReader& json) {
  std::vector<double> out;
  for (const JsonReader& element : json.elements()) {
    out.push_back(element.number(0.0, kLargestTableEntry));
  }
  return out;
}

std::array<double, 3> read_three(const JsonReader& json) {
  const std::vector<double> numbers = read_numbers(json);
  if (numbers.size() != 3) {
    json.fail("a row of the tuner's tables has three numbers");
  }
  return {numbers[0], numbers[1], numbers[2]};
}

LatencyTable read_latencies(const JsonReader& json) {
  LatencyTable table{};
  for (std::size_t row = 0; row < kTunedAlgorithms; ++row) {
    table[row] = read_three(json.at(kAlgorithmNames.rows[row].first));
  }
  return table;
}

NcclVersion read_version(const std::string& name, const JsonReader& json) {
  json.expect_keys({"source", "base_latency_us", "hop_latency_us", "ring_ll_share", "nvls_gathers", "pat", "pat_share",
                    "two_node_trees_inside", "processor_ll_max_GBps", "architectures"});
  NcclVersion out;
  out.name = name;
  out.base = read_latencies(json.at("base_latency_us"));
  const JsonReader hops = json.at("hop_latency_us");
  hops.expect_keys({"nvlink", "pci", "net"});
  out.nvlink_hop = read_latencies(hops.at("nvlink"));
  out.pci_hop = read_latencies(hops.at("pci"));
  out.net_hop = read_latencies(hops.at("net"));
  out.ring_ll_share = json.at("ring_ll_share").number(0.0, 1.0);
  out.nvls_gathers = json.at("nvls_gathers").boolean();
  out.has_pat = json.at("pat").boolean();
  out.pat_share = json.at("pat_share").number(0.0, 1.0);
  if (const auto inside = json.find("two_node_trees_inside")) {
    out.two_node_trees_inside = inside->boolean();
  }
  const JsonReader processors = json.at("processor_ll_max_GBps");
  processors.expect_keys({"amd", "other"});
  out.amd_ll_max = read_three(processors.at("amd"));
  out.other_ll_max = read_three(processors.at("other"));
  for (const auto& [architecture, rates] : json.at("architectures").members()) {
    rates.expect_keys(
        {"ll_max_GBps", "ring_ll128_GBps", "tree_ll128_GBps", "tree_GBps", "nvls_tree_GBps", "nvls_efficiency"});
    out.architectures[architecture] = {
        .ll_max = read_three(rates.at("ll_max_GBps")),
        .ring_ll128 = rates.at("ring_ll128_GBps").number(0.0, kLargestTableEntry),
        .tree_ll128 = read_three(rates.at("tree_ll128_GBps")),
        .tree = read_three(rates.at("tree_GBps")),
        .nvls_tree = read_three(rates.at("nvls_tree_GBps")),
        .nvls_efficiency = rates.at("nvls_efficiency").number(0.0, 1.0),
    };
  }
  return out;
}

CollectiveProfile read_profile(const std::string& name, const JsonReader& json) {
  json.expect_keys({"source", "architecture", "compute_capability", "nccl", "link_rate_GBps", "intra_speeds_GBps",
                    "inter_speeds_GBps", "nvls", "p2p"});
  CollectiveProfile out;
  out.name = name;
  out.architecture = json.at("architecture").text();
  out.compute_capability = static_cast<int>(json.at("compute_capability").integer(0, 1000));
  out.nccl = json.at("nccl").text();
  out.link_rate = json.at("link_rate_GBps").number(0.0, kLargestTableEntry);
  out.intra_speeds = read_numbers(json.at("intra_speeds_GBps"));
  out.inter_speeds = read_numbers(json.at("inter_speeds_GBps"));
  if (const auto nvls = json.find("nvls")) {
    nvls->expect_keys({"channels"});
    const std::vector<JsonReader> channels = nvls->at("channels").elements();
    if (channels.size() != 2) {
      nvls->at("channels").fail("NVLS has two channel counts", "[one node, more nodes]");
    }
    out.nvls_channels = {static_cast<int>(channels[0].integer(1, 64)), static_cast<int>(channels[1].integer(1, 64))};
  }
  const JsonReader p2p = json.at("p2p");
  p2p.expect_keys(
      {"latency", "network_latency", "device_rate", "pair_rate", "channel_rate", "channels", "network_share"});
  out.p2p = {.latency = p2p.at("latency").seconds(),
             .network_latency = p2p.at("network_latency").seconds(),
             .device_rate = p2p.at("device_rate").bytes_per_second(),
             .pair_rate = p2p.at("pair_rate").bytes_per_second(),
             .channel_rate = p2p.at("channel_rate").bytes_per_second(),
             .channels = static_cast<int>(p2p.at("channels").integer(1, 1024)),
             .network_share = p2p.at("network_share").number(0.01, 1.0)};
  return out;
}

// Entries never change once read and std::map never moves them, so references stay good. The cache cannot reach a
// result: it only spares reading the same file for every collective of a step.
template <class Entry, class Read>
const Entry& cached(std::string_view folder, std::string_view what, std::string_view name, std::string_view file,
                    std::string_view pointer, Read read) {
  static std::mutex mutex;
  static std::map<std::string, Entry, std::less<>> entries;
  const std::scoped_lock lock(mutex);
  const auto found = entries.find(name);
  if (found != entries.end()) {
    return found->second;
  }
  const auto path = catalogue_path(folder, what, name, std::string(file), std::string(pointer));
  const Json document = read_json_file(path);
  return entries.emplace(name, read(std::string(name), JsonReader(document, path.string()))).first->second;
}

}  // namespace

const CollectiveProfile& collective_profile(std::string_view name, std::string_view file, std::string_view pointer) {
  return cached<CollectiveProfile>(kProfiles, "collective profile", name, file, pointer, read_profile);
}

const NcclVersion& nccl_version(std::string_view name, std::string_view file, std::string_view pointer) {
  return cached<NcclVersion>(kVersions, "NCCL version", name, file, pointer, read_version);
}

std::vector<std::string> nccl_version_names() {
  return catalogue_names(kVersions);
}

}  // namespace trainyard
