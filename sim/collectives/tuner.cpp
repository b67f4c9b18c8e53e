#include "sim/collectives/tuner.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// What of a tree's bandwidth is left at 64 B, 128 B, ... 512 MB. Source: NCCL 2.30 src/graph/tuning.cc,
// treeCorrectionFactor.
constexpr std::size_t kCorrections = 24;
constexpr std::array<std::array<double, kCorrections>, 3> kTreeCorrection{
    {{1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1, 1},
     {1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1, 1},
     {.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8, .9, .9, .9}}};

constexpr double kMicro = 1e-6;
constexpr double kGiga = 1e9;

// Everything a formula needs about one (algorithm, protocol), in the units of NCCL's tables.
struct Case {
  const TunerInput& input;
  const ArchitectureRates& rates;
  Algorithm algorithm;
  Protocol protocol;

  double ranks() const { return input.ranks; }
  double nodes() const { return input.nodes; }
  double per_node() const { return static_cast<double>(input.ranks) / input.nodes; }
  std::size_t node_index() const { return input.nodes <= 2 ? static_cast<std::size_t>(input.nodes - 1) : 2; }
  double from(const LatencyTable& table) const {
    return table[static_cast<std::size_t>(algorithm)][static_cast<std::size_t>(protocol)];
  }
  double ll_max() const {
    if (input.nodes == 1) {
      return rates.ll_max[0];
    }
    return (input.amd_processor ? input.version->amd_ll_max : input.version->other_ll_max)[node_index()];
  }
  bool reduces_and_gathers() const { return input.op == CollectiveOp::kAllReduce; }
  bool is_chain() const { return input.op == CollectiveOp::kBroadcast || input.op == CollectiveOp::kReduce; }
};

double ring_steps(const Case& c) {
  if (c.reduces_and_gathers()) {
    return 2.0 * (c.ranks() - 1.0);
  }
  return c.is_chain() ? c.ranks() : c.ranks() - 1.0;
}

// Steps of latency: a torus goes along its dimensions one after another.
double ring_latency_steps(const Case& c) {
  const double passes = c.reduces_and_gathers() ? 2.0 : 1.0;
  return c.input.graphs.ring_hops > 0 && !c.is_chain() ? passes * c.input.graphs.ring_hops : ring_steps(c);
}

// Latency in microseconds.
double model_latency(const Case& c) {
  const NcclVersion& v = *c.input.version;
  const double intra = c.from(c.input.graphs.nvlink ? v.nvlink_hop : v.pci_hop);
  double inter = c.from(v.net_hop);
  if (c.input.nodes > 1 && c.input.ranks == c.input.nodes) {
    inter = v.net_hop[static_cast<std::size_t>(Algorithm::kTree)][static_cast<std::size_t>(c.protocol)];
  }
  // Posting to the network: 1 us, 2 us on AMD processors, three times that with Simple.
  const double post =
      c.input.nodes > 1 ? (c.input.amd_processor ? 2.0 : 1.0) * (c.protocol == Protocol::kSimple ? 3.0 : 1.0) : 0.0;
  const double base = c.from(v.base);
  switch (c.algorithm) {
    case Algorithm::kRing: {
      if (c.is_chain()) {
        return base + std::max(c.protocol == Protocol::kSimple
                                   ? (c.input.graphs.nvlink ? v.nvlink_hop : v.pci_hop)[1][2]
                                   : intra,
                               post);
      }
      const double crossings = c.input.nodes > 1 ? (c.reduces_and_gathers() ? 2.0 : 1.0) * (c.nodes() - 1.0) : 0.0;
      return base + (ring_latency_steps(c) - crossings) * std::max(intra, post) + crossings * inter;
    }
    case Algorithm::kTree:
      return base + 2.0 * ((c.per_node() - 1.0) * intra + std::floor(std::log2(c.nodes())) * inter);
    case Algorithm::kCollNetDirect:
      return base + 2.0 * (std::min(1.0, c.per_node() - 1.0) * intra + (c.per_node() - 1.0) * 0.4) + inter;
    case Algorithm::kCollNetChain:
      return base + 2.0 * (c.per_node() - 1.0) * intra + inter;
    case Algorithm::kNvls:
      return intra + (c.input.nodes > 1 ? inter : 0.0);
    case Algorithm::kNvlsTree:
      return base + intra + 2.0 * std::log2(c.nodes()) * inter;
    case Algorithm::kPat:
      return base + std::log2(c.nodes()) * inter / 3.5 + 2.8 * c.ranks();
  }
  return 0.0;
}

double tree_bandwidth(const Case& c, double bus) {
  const double channels = c.input.graphs.tree.channels;
  double bandwidth = std::min(0.92 * bus, channels * c.rates.tree[c.node_index()]);
  if (c.protocol == Protocol::kLl) {
    bandwidth = std::min(bandwidth / 3.8, c.ll_max());
  } else if (c.protocol == Protocol::kLl128) {
    bandwidth = std::min(bandwidth * (c.input.nodes == 1 ? 7.0 / 9.0 : 120.0 / 128.0),
                         channels * c.rates.tree_ll128[c.node_index()]);
  }
  return bandwidth;
}

double nvls_bandwidth(const Case& c) {
  const ChannelGraph& graph = c.input.graphs.nvls;
  const double heads = graph.channels;
  const double share = c.reduces_and_gathers() ? 2.0 : (c.per_node() - 1.0) / c.per_node();
  double each = graph.intra * c.rates.nvls_efficiency * (heads - 1.0) / heads * share;
  if (c.input.nodes > 1) {
    const bool doubled = c.algorithm == Algorithm::kNvlsTree && c.input.nodes <= 2;
    each = std::min(each, graph.inter * (doubled ? 2.0 : 1.0));
    if (c.algorithm == Algorithm::kNvlsTree) {
      each = std::min(each, c.rates.nvls_tree[c.node_index()]);
    }
  }
  return heads * each;
}

// Algorithm bandwidth in GB/s before the correction for size; 0 when the combination does not exist.
double model_bandwidth(const Case& c) {
  const ChannelGraph& ring = c.input.graphs.ring;
  const double bus = ring.channels * (c.input.nodes <= 2 ? ring.intra : ring.inter);
  const double to_algorithm = c.ranks() / ring_steps(c);
  switch (c.algorithm) {
    case Algorithm::kRing: {
      double bandwidth = bus;
      if (c.protocol == Protocol::kLl) {
        bandwidth = std::min(c.ll_max(), c.input.version->ring_ll_share * bus);
      } else if (c.protocol == Protocol::kLl128) {
        bandwidth = std::min(0.92 * bus, ring.channels * c.rates.ring_ll128);
      }
      return bandwidth * to_algorithm;
    }
    case Algorithm::kTree: {
      const ChannelGraph& tree = c.input.graphs.tree;
      return tree_bandwidth(c, tree.channels * (c.input.nodes <= 2 ? tree.intra : tree.inter)) * 0.5;
    }
    case Algorithm::kCollNetDirect: {
      const double inside = c.per_node() * std::min(ring.intra, 0.9 * ring.inter);
      if (!c.reduces_and_gathers()) {
        return inside;
      }
      const double g = c.per_node() / ring.channels;
      return bus / std::max(1.0, g - (g - 1.0) / 2.0) * (c.input.profile->compute_capability >= 90 ? 0.85 : 1.0) * 0.5;
    }
    case Algorithm::kCollNetChain:
      return bus * 0.5;
    case Algorithm::kNvls:
    case Algorithm::kNvlsTree:
      return nvls_bandwidth(c) * to_algorithm;
    case Algorithm::kPat:
      return bus * c.input.version->pat_share * to_algorithm;
  }
  return 0.0;
}

bool has_protocol(const TunerInput& input, Algorithm algorithm, Protocol protocol) {
  if (algorithm != Algorithm::kRing && algorithm != Algorithm::kTree) {
    return protocol == Protocol::kSimple;
  }
  return protocol != Protocol::kLl128 || (input.graphs.nvlink && input.profile->compute_capability >= 70);
}

bool is_allowed(const TunerInput& input, Algorithm algorithm) {
  const bool all_reduce = input.op == CollectiveOp::kAllReduce;
  const bool gathers = input.op == CollectiveOp::kAllGather || input.op == CollectiveOp::kReduceScatter;
  const bool one_node = input.nodes == 1;
  switch (algorithm) {
    case Algorithm::kRing:
      return true;
    case Algorithm::kTree:
      return all_reduce && input.graphs.ring_hops == 0;  // nobody runs NCCL's trees on a torus
    case Algorithm::kCollNetDirect:
      return (all_reduce || gathers) && input.has_network_reduction && !one_node && input.graphs.nvlink &&
             input.ranks <= 8 * input.nodes;
    case Algorithm::kCollNetChain:
      return all_reduce && input.has_network_reduction && !one_node;
    case Algorithm::kNvls:
      return input.graphs.nvls.channels >= 2 && (all_reduce || (gathers && input.version->nvls_gathers)) &&
             (one_node || input.has_network_reduction);
    case Algorithm::kNvlsTree:
      return input.graphs.nvls.channels >= 2 && all_reduce && !one_node;
    case Algorithm::kPat:
      return gathers && input.version->has_pat && input.ranks == input.nodes;
  }
  return false;
}

int executed_channels(const TunerInput& input, Algorithm algorithm) {
  if (algorithm == Algorithm::kNvls || algorithm == Algorithm::kNvlsTree) {
    return input.profile->nvls_channels[input.nodes > 1 ? 1 : 0];
  }
  return input.graphs.ring_executed;
}

double size_correction(const TunerInput& input, Algorithm algorithm, Protocol protocol, double bytes) {
  if (algorithm != Algorithm::kTree || input.op != CollectiveOp::kAllReduce || bytes < 64.0) {
    return 1.0;
  }
  const auto index = static_cast<std::size_t>(std::floor(std::log2(bytes / 64.0)));
  return index < kCorrections ? kTreeCorrection[static_cast<std::size_t>(protocol)][index] : 1.0;
}

}  // namespace

std::vector<Candidate> tuner_candidates(const TunerInput& input, Bytes size) {
  TY_ASSERT(input.ranks > 1 && input.nodes >= 1 && input.profile != nullptr && input.version != nullptr);
  const ArchitectureRates& rates = input.version->architectures.at(input.profile->architecture);
  std::vector<Candidate> out;
  for (const auto& [algorithm_name, algorithm] : kAlgorithmNames.rows) {
    if (!is_allowed(input, algorithm)) {
      continue;
    }
    for (const auto& [protocol_name, protocol] : kProtocolNames.rows) {
      if (!has_protocol(input, algorithm, protocol)) {
        continue;
      }
      const Case c{input, rates, algorithm, protocol};
      const double bandwidth = model_bandwidth(c) * size_correction(input, algorithm, protocol, size.value);
      if (bandwidth <= 0.0) {
        continue;
      }
      double latency = model_latency(c);
      const int channels = executed_channels(input, algorithm);
      // Plateau of the ring over several nodes.
      if (algorithm == Algorithm::kRing && protocol == Protocol::kSimple && c.reduces_and_gathers() &&
          input.nodes > 1 && size.value / (input.graphs.ring.channels * c.ranks()) >= 64.0) {
        latency *= input.profile->compute_capability < 80 ? 1.9 : 1.4;
      }
      out.push_back({.algorithm = algorithm,
                     .protocol = protocol,
                     .channels = channels_for_size(algorithm, protocol, channels, input.ranks, size),
                     .latency = {latency * kMicro},
                     .transfer = {size.value / (bandwidth * kGiga)}});
    }
  }
  return out;
}

Candidate choose(const std::vector<Candidate>& candidates) {
  TY_ASSERT(!candidates.empty());
  return *std::min_element(candidates.begin(), candidates.end(),
                           [](const Candidate& a, const Candidate& b) { return a.time() < b.time(); });
}

int channels_for_size(Algorithm algorithm, Protocol protocol, int channels, int ranks, Bytes size) {
  if (algorithm == Algorithm::kNvls || algorithm == Algorithm::kNvlsTree) {
    return channels;
  }
  // Source: NCCL 2.30 src/enqueue.cc and src/include/comm.h: threads and bytes each thread should get.
  const bool ring_ll = algorithm == Algorithm::kRing && protocol == Protocol::kLl;
  const double threads = protocol == Protocol::kLl128 ? 640.0 : 512.0;
  const double per_thread = protocol == Protocol::kSimple ? 64.0 : (ring_ll ? 8.0 * ranks : 8.0);
  int used = channels;
  while (used > 1 && size.value < used * threads * per_thread) {
    --used;
  }
  return used;
}

}  // namespace trainyard
