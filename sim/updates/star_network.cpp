#include "sim/updates/star_network.hpp"

#include <algorithm>
#include <utility>

#include "sim/updates/star_fabric.hpp"

namespace trainyard {
namespace {

// Workers first, then a node for every class of servers that has its own.
std::vector<Nic> nics_of(const UpdateJob& job, const std::vector<ServerClass>& servers) {
  std::vector<Nic> nics;
  for (const Worker& worker : job.workers) {
    nics.push_back(worker.nic);
  }
  for (const ServerClass& one : servers) {
    if (one.worker < 0) {
      nics.push_back(one.nic);
    }
  }
  return nics;
}

// Of every worker and every class of servers, the push and the pull: a class of n servers is one flow, which crosses
// the worker's link n times.
Quotient quotient_of(const UpdateJob& job, const std::vector<ServerClass>& servers) {
  Quotient out{.links = star_links(nics_of(job, servers).size())};
  const Bytes shard = job.parameters / static_cast<double>(job.servers.size());
  for (std::size_t w = 0; w < job.workers.size(); ++w) {
    std::size_t own_node = job.workers.size();
    for (const ServerClass& one : servers) {
      const std::size_t node = one.worker < 0 ? own_node++ : static_cast<std::size_t>(one.worker);
      const std::int32_t many = one.servers;
      // Servers of one worker's node share its link; those with nodes of their own have one each.
      const std::int32_t at_server = one.worker < 0 ? 1 : many;
      out.flows.push_back({.bytes = shard, .links = {{out_of(w).value, many}, {into(node).value, at_server}}});
      out.flows.push_back({.bytes = shard, .links = {{out_of(node).value, at_server}, {into(w).value, many}}});
    }
  }
  return out;
}

}  // namespace

std::vector<ServerClass> server_classes(const UpdateJob& job) {
  std::vector<ServerClass> out;
  int node = static_cast<int>(job.workers.size());
  for (const Server& server : job.servers) {
    const int worker = server.worker.value_or(-1);
    const Nic nic = worker < 0 ? server.nic : job.workers[static_cast<std::size_t>(worker)].nic;
    auto found = std::find_if(out.begin(), out.end(), [&](const ServerClass& one) {
      return one.worker == worker && one.nic.bandwidth == nic.bandwidth && one.nic.latency == nic.latency;
    });
    if (found == out.end()) {
      found = out.insert(out.end(), {.worker = worker, .nic = nic});
    }
    ++found->servers;
    if (worker < 0) {
      found->nodes.push_back(node++);
    } else {
      found->nodes = {worker};
    }
  }
  return out;
}

StarNetwork::StarNetwork(const UpdateJob& job)
    : servers_(server_classes(job)),
      shard_(job.parameters / static_cast<double>(job.servers.size())),
      quotient_(quotient_of(job, servers_)),
      network_(quotient_, star_fabric(nics_of(job, servers_))) {
  std::size_t nodes = job.workers.size();
  for (const Worker& worker : job.workers) {
    workers_.push_back(worker.nic);
  }
  for (const Server& server : job.servers) {
    nodes += server.worker ? 0 : 1;
  }
  sent_.resize(nodes);
  received_.resize(nodes);
}

void StarNetwork::count(const ServerClass& servers, int worker, ServerExchange kind) {
  std::vector<Bytes>& at_worker = kind == ServerExchange::kPush ? sent_ : received_;
  std::vector<Bytes>& at_server = kind == ServerExchange::kPush ? received_ : sent_;
  const Bytes all = shard_ * servers.servers;
  at_worker[static_cast<std::size_t>(worker)] += all;
  for (const int node : servers.nodes) {
    at_server[static_cast<std::size_t>(node)] += all / static_cast<double>(servers.nodes.size());
  }
}

int StarNetwork::start(int worker, ServerExchange kind, double now) {
  int flows = 0;
  for (std::size_t s = 0; s < servers_.size(); ++s) {
    if (servers_[s].worker == worker) {
      continue;
    }
    const std::size_t pair = static_cast<std::size_t>(worker) * servers_.size() + s;
    const auto flow = static_cast<std::int32_t>(2 * pair + (kind == ServerExchange::kPush ? 0 : 1));
    const Seconds latency = max(workers_[static_cast<std::size_t>(worker)].latency, servers_[s].nic.latency);
    count(servers_[s], worker, kind);
    part_.events.push(EventKind::kGroupStart, now + latency.value, flow);
    ++flows;
  }
  return flows;
}

std::optional<StarNetwork::Happened> StarNetwork::next() {
  while (true) {
    if (network_.share_before(part_.events.next_time(), now_, part_)) {
      continue;
    }
    if (part_.events.empty()) {
      return std::nullopt;
    }
    const QueuedEvent event = part_.events.pop();
    now_ = std::max(now_, event.time);
    if (event.kind == EventKind::kKernelsEnd) {
      return Happened{.time = now_, .worker = event.subject};
    }
    if (event.kind == EventKind::kGroupStart) {
      network_.start(event.subject, now_, 1.0, part_);
    } else if (network_.end(event, part_)) {
      const int flows_of_worker = 2 * static_cast<int>(servers_.size());
      return Happened{.time = now_, .worker = event.subject / flows_of_worker, .is_flow = true};
    }
  }
}

}  // namespace trainyard
