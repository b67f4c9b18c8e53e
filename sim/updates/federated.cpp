// Federated averaging. Source: McMahan et al., AISTATS 2017, arXiv 1602.05629: a server draws clients for a round, they
// pull the model, train on their own data and push what comes out, and the mean by their samples is the next model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/random.hpp"
#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/secure_aggregation.hpp"
#include "sim/updates/server_work.hpp"
#include "sim/updates/shared_link.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// What is drawn of a round, apart from the times of iterations.
constexpr std::uint64_t kClientsKey = 0x636c69656e7473;
constexpr std::uint64_t kDropoutKey = 0x64726f70;

int clients_of_round(const UpdateJob& job) {
  const double asked = job.federation.share * static_cast<double>(job.workers.size());
  return std::clamp(static_cast<int>(std::lround(asked)), 1, static_cast<int>(job.workers.size()));
}

class FederatedRun {
 public:
  explicit FederatedRun(const UpdateJob& job) : job_(job), server_(job.servers.front().nic), all_(job.workers.size()) {
    std::iota(all_.begin(), all_.end(), 0);
    out_.workers.resize(job.workers.size());
    out_.sent.resize(job.workers.size());
    out_.received.resize(job.workers.size());
    const std::vector<double>& data = job.federation.data;
    mean_data_ = data.empty() ? 1.0 : std::accumulate(data.begin(), data.end(), 0.0) / static_cast<double>(data.size());
  }

  UpdateTimes run() {
    for (int done = 0; done < job_.updates; done += job_.local_steps) {
      round(done, std::min(job_.local_steps, job_.updates - done));
    }
    for (WorkerTimes& one : out_.workers) {
      one.waiting = max(Seconds{}, out_.total - one.computing - one.transferring);
    }
    // Servers keep equal parts: each client sends all of them as much at the same time.
    const std::size_t servers = job_.servers.size();
    const Bytes busier = max(server_sent_, server_received_) / static_cast<double>(servers);
    out_.server_use.assign(servers, busier / (server_.bandwidth * out_.total));
    out_.sent.insert(out_.sent.end(), servers, server_sent_ / static_cast<double>(servers));
    out_.received.insert(out_.received.end(), servers, server_received_ / static_cast<double>(servers));
    return std::move(out_);
  }

 private:
  const Worker& worker(int client) const { return job_.workers[static_cast<std::size_t>(client)]; }
  WorkerTimes& times(int client) { return out_.workers[static_cast<std::size_t>(client)]; }
  double data(int client) const {
    return job_.federation.data.empty() ? 1.0 : job_.federation.data[static_cast<std::size_t>(client)];
  }
  BytesPerSecond servers_bandwidth() const { return server_.bandwidth * static_cast<double>(job_.servers.size()); }
  Seconds latency(int client) const { return max(worker(client).nic.latency, server_.latency); }

  // Those of the first places after as many exchanges of two.
  std::vector<int> draw_clients(const Draw& drawn) {
    const auto count = static_cast<std::size_t>(clients_of_round(job_));
    for (std::size_t place = 0; place < count; ++place) {
      const double left = static_cast<double>(all_.size() - place);
      std::swap(all_[place], all_[place + static_cast<std::size_t>(drawn.of(place).uniform() * left)]);
    }
    std::vector<int> out(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(count));
    std::sort(out.begin(), out.end());
    return out;
  }

  std::vector<Seconds> pull(const std::vector<int>& clients, Seconds start, Bytes beside) {
    const Bytes pulled = job_.parameters + beside;
    std::vector<LinkTransfer> pulls;
    for (const int client : clients) {
      pulls.push_back({start + latency(client), pulled, worker(client).nic.bandwidth});
      out_.received[static_cast<std::size_t>(client)] += pulled;
      server_sent_ += pulled;
    }
    return shared_link_ends(servers_bandwidth(), pulls);
  }

  // As many steps as its data ask for, where a client of the mean makes `steps`.
  int steps_of(int client, int steps) const {
    return std::max(1, static_cast<int>(std::lround(steps * data(client) / mean_data_)));
  }

  // The server adds up what has arrived, one after another.
  Seconds applied(std::vector<Seconds> arrived, double pushed_share) const {
    std::sort(arrived.begin(), arrived.end(), [](Seconds a, Seconds b) { return a.value < b.value; });
    Seconds end{};
    for (const Seconds one : arrived) {
      end = max(end, one) + gather_time(job_, 1.0 / static_cast<double>(job_.servers.size()), pushed_share);
    }
    return end;
  }

  // None where sums are not hidden.
  SecureCosts secured(std::size_t clients, int dropped) const {
    constexpr double kValueBytesOfModel = 4.0;
    if (!job_.federation.mask_rate) {
      return {.sent = job_.parameters * pushed_share(job_, out_.versions)};
    }
    return secure_costs({.clients = static_cast<int>(clients),
                         .dropped = dropped,
                         .values = job_.parameters.value / kValueBytesOfModel});
  }
  Seconds mask_time(Bytes masks) const {
    return job_.federation.mask_rate ? masks / *job_.federation.mask_rate : Seconds{};
  }

  void round(int done, int steps) {
    const auto number = static_cast<std::uint64_t>(round_++);
    const std::vector<int> clients = draw_clients(Draw(job_.seed).of(kClientsKey).of(number));
    const Draw dropouts = Draw(job_.seed).of(kDropoutKey).of(number);
    const auto drops_out = [&](int client) {
      return dropouts.of(static_cast<std::uint64_t>(client)).uniform() < job_.federation.dropout;
    };
    const SecureCosts costs =
        secured(clients.size(), static_cast<int>(std::count_if(clients.begin(), clients.end(), drops_out)));
    Seconds furthest{};
    for (const int client : clients) {
      furthest = max(furthest, latency(client));
    }
    // Everybody's keys and shares go round before anybody masks, the sum is unmasked when all vectors are there.
    const Seconds round_trip = 2.0 * furthest;
    const Seconds began = out_.total;
    const std::vector<Seconds> pulled =
        pull(clients, began + round_trip * std::max(0, costs.round_trips - 1), costs.received);
    Seconds end{};
    std::vector<LinkTransfer> pushes;
    std::vector<Update> updates;
    for (std::size_t c = 0; c < clients.size(); ++c) {
      const int client = clients[c];
      end = max(end, pulled[c]);
      times(client).transferring += pulled[c] - began;
      if (drops_out(client)) {
        ++out_.dropped;
        out_.sent[static_cast<std::size_t>(client)] += costs.shared;
        server_received_ += costs.shared;
        continue;
      }
      const int own_steps = steps_of(client, steps);
      Seconds computing{};
      for (int step = 0; step < own_steps; ++step) {
        computing += compute_time(job_, client, done + step);
      }
      computing += encode_time(job_, out_.versions) + mask_time(costs.client_masks);
      times(client).computing += computing;
      pushes.push_back({pulled[c] + computing + latency(client), costs.sent, worker(client).nic.bandwidth});
      out_.sent[static_cast<std::size_t>(client)] += costs.sent;
      server_received_ += costs.sent;
      updates.push_back({.worker = client,
                         .read = out_.versions,
                         .applied = out_.versions,
                         .steps = own_steps,
                         .weight = data(client)});
    }
    const std::vector<Seconds> arrived = shared_link_ends(servers_bandwidth(), pushes);
    for (std::size_t u = 0; u < updates.size(); ++u) {
      const int client = updates[u].worker;
      times(client).transferring += arrived[u] - pushes[u].start + latency(client);
    }
    end = max(end, applied(arrived, costs.sent / job_.parameters));
    end += (costs.round_trips > 0 ? round_trip : Seconds{}) + mask_time(costs.server_masks);
    out_.total = end;
    for (Update& update : updates) {
      update.time = end;
    }
    out_.versions += updates.empty() ? 0 : 1;
    out_.updates.insert(out_.updates.end(), updates.begin(), updates.end());
  }

  const UpdateJob& job_;
  Nic server_;  // each one's
  Bytes server_sent_{};
  Bytes server_received_{};
  std::vector<int> all_;
  double mean_data_ = 1.0;
  int round_ = 0;
  UpdateTimes out_;
};

}  // namespace

void check_federated(const UpdateJob& job) {
  const Federation& asked = job.federation;
  demand(!job.servers.empty(), "--servers", "0", "1 or more", "parameters need a server that keeps them");
  for (const Server& server : job.servers) {
    const Nic& first = job.servers.front().nic;
    demand(!server.worker && server.nic.bandwidth == first.bandwidth && server.nic.latency == first.latency,
           "--servers", server.worker ? fmt::format("a server beside worker {}", *server.worker) : "unequal servers",
           "equal servers on nodes of their own", "clients are no servers");
  }
  demand(job.servers.front().nic.bandwidth.value > 0.0, "--server-bandwidth", "0 B/s", "more than nothing",
         "nothing would arrive at the server");
  demand(job.local_steps >= 1, "--local-steps", fmt::format("{}", job.local_steps), "1 or more",
         "clients would never compute");
  demand(asked.share > 0.0 && asked.share <= 1.0, "--client-share", fmt::format("{}", asked.share),
         "more than 0, at most 1", "nobody, or more than all, would take part in a round");
  demand(asked.dropout >= 0.0 && asked.dropout < 1.0, "--dropout", fmt::format("{}", asked.dropout), "0 to less than 1",
         "nobody would ever answer");
  demand(!asked.mask_rate || asked.mask_rate->value > 0.0, "--secure-aggregation", "0 B/s", "more than nothing",
         "masks would never be made");
  demand(asked.data.empty() || asked.data.size() == job.workers.size(), "--data-sizes",
         fmt::format("{} sizes", asked.data.size()), fmt::format("one for each of {} clients", job.workers.size()),
         "every client has data of its own");
  for (const double size : asked.data) {
    demand(size > 0.0, "--data-sizes", fmt::format("{}", size), "more than 0", "a client without data has no gradient");
  }
}

UpdateTimes simulate_federated(const UpdateJob& job) {
  return FederatedRun(job).run();
}

// A client's round takes a few queue operations and a draw for each step.
double federated_events(const UpdateJob& job) {
  constexpr double kEventsOfTransfer = 4.0;
  const double steps = static_cast<double>(clients_of_round(job)) * job.updates;
  return steps * (1.0 + kEventsOfTransfer / job.local_steps);
}

}  // namespace trainyard
