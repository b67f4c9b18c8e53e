#include "topologies/generators/network.hpp"

namespace trainyard {

VertexId NetworkSite::add_switch(VertexKind kind, int index, int multiplicity) const {
  vertices->push_back({.kind = kind, .node = -1, .index = index, .multiplicity = multiplicity});
  return VertexId::from(vertices->size() - 1);
}

std::int32_t NetworkSite::add_link(VertexId a, VertexId b, BytesPerSecond bandwidth, Seconds latency) const {
  links->push_back({a, b, LinkKind::kNetwork, bandwidth, latency});
  links->push_back({b, a, LinkKind::kNetwork, bandwidth, latency});
  return static_cast<std::int32_t>(links->size() - 2);
}

BytesPerSecond NetworkSite::port_bandwidth() const {
  BytesPerSecond fastest{};
  for (std::size_t p = 0; p < ports.size() && ports[p].node == ports.front().node; ++p) {
    fastest = max(fastest, ports[p].bandwidth);
  }
  return fastest;
}

NetworkReading read_network(const JsonReader& network) {
  NetworkReading out;
  out.switch_latency = network.at("switch_latency").seconds();
  if (const auto policy = network.find("routing")) {
    out.policy = policy->choice(kRoutingPolicyNames);
  }
  if (const auto seed = network.find("seed")) {
    out.seed = static_cast<std::uint64_t>(seed->integer(0, std::int64_t{1} << 53));
  }
  return out;
}

NetworkTables make_network(const JsonReader& network, const NetworkSite& site) {
  const JsonReader key = network.at("generator");
  const std::string wanted = key.text();
  std::vector<std::string> names;
  for (const NetworkGenerator& generator : kNetworkGenerators) {
    if (generator.name == wanted) {
      return generator.make(network, site);
    }
    names.emplace_back(generator.name);
  }
  key.fail("unknown network generator", join_names(names), nearest_name(wanted, names).value_or(""));
}

}  // namespace trainyard
