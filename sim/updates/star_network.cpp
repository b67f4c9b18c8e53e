#include "sim/updates/star_network.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/updates/shards.hpp"
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
  for (std::size_t w = 0; w < job.workers.size(); ++w) {
    std::size_t own_node = job.workers.size();
    for (const ServerClass& one : servers) {
      const Bytes shard = job.parameters * one.shard();
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

double ServerClass::shard() const {
  return std::accumulate(layers.begin(), layers.end(), 0.0);
}

std::vector<ServerClass> server_classes(const UpdateJob& job) {
  const std::vector<std::vector<double>> shards = shards_of(job);
  std::vector<ServerClass> out;
  int node = static_cast<int>(job.workers.size());
  for (std::size_t s = 0; s < job.servers.size(); ++s) {
    const int worker = job.servers[s].worker.value_or(-1);
    const Nic nic = worker < 0 ? job.servers[s].nic : job.workers[static_cast<std::size_t>(worker)].nic;
    auto found = std::find_if(out.begin(), out.end(), [&](const ServerClass& one) {
      return one.worker == worker && one.nic.bandwidth == nic.bandwidth && one.nic.latency == nic.latency &&
             one.layers == shards[s];
    });
    if (found == out.end()) {
      found = out.insert(out.end(), {.worker = worker, .nic = nic, .layers = shards[s]});
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
      parameters_(job.parameters),
      quotient_(quotient_of(job, servers_)),
      network_(quotient_, star_fabric(nics_of(job, servers_))),
      ways_(quotient_.flows.size()) {
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

void StarNetwork::count(const ServerClass& servers, Exchanged what, Bytes each) {
  std::vector<Bytes>& at_worker = what.kind == ServerExchange::kPush ? sent_ : received_;
  std::vector<Bytes>& at_server = what.kind == ServerExchange::kPush ? received_ : sent_;
  const Bytes all = each * servers.servers;
  at_worker[static_cast<std::size_t>(what.worker)] += all;
  for (const int node : servers.nodes) {
    at_server[static_cast<std::size_t>(node)] += all / static_cast<double>(servers.nodes.size());
  }
}

int StarNetwork::ask(Exchanged what, std::size_t servers, double share, double scale, double now) {
  const ServerClass& asked = servers_[servers];
  if (asked.worker == what.worker || share <= 0.0) {
    return 0;
  }
  const std::size_t number = way_of(what, servers);
  Way& way = ways_[number];
  way.waiting += share / asked.shard() * scale;
  count(asked, what, parameters_ * (share * scale));
  if (way.is_moving) {
    return 0;
  }
  way.is_moving = true;
  const Seconds latency = max(workers_[static_cast<std::size_t>(what.worker)].latency, asked.nic.latency);
  part_.events.push(EventKind::kGroupStart, now + latency.value, static_cast<std::int32_t>(number));
  return 1;
}

int StarNetwork::start(Exchanged what, double scale, double now) {
  int flows = 0;
  for (std::size_t s = 0; s < servers_.size(); ++s) {
    flows += ask(what, s, servers_[s].shard(), scale, now);
  }
  return flows;
}

int StarNetwork::start_layer(Exchanged what, std::size_t servers, std::size_t layer, double scale, double now) {
  ++ways_[way_of(what, servers)].asked;
  return ask(what, servers, servers_[servers].layers[layer], scale, now);
}

void StarNetwork::move(std::size_t number) {
  Way& way = ways_[number];
  way.moving = way.asked;
  network_.start(static_cast<std::int32_t>(number), now_, std::exchange(way.waiting, 0.0), part_);
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
      return Happened{.time = now_, .worker = event.subject % workers_count(), .what = event.subject / workers_count()};
    }
    const auto number = static_cast<std::size_t>(event.subject);
    if (event.kind == EventKind::kGroupStart) {
      move(number);
    } else if (network_.end(event, part_)) {
      Way& way = ways_[number];
      Happened out{.time = now_,
                   .worker = static_cast<int>(number / (2 * servers_.size())),
                   .is_flow = true,
                   .servers = number / 2 % servers_.size(),
                   .kind = number % 2 == 0 ? ServerExchange::kPush : ServerExchange::kPull,
                   .layers = way.moving,
                   .is_last = way.waiting <= 0.0};
      if (out.is_last) {
        way.is_moving = false;
      } else {
        move(number);
      }
      return out;
    }
  }
}

}  // namespace trainyard
