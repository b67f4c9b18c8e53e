#pragma once
// Workers and servers around a network that holds nobody up: what they push and pull shares their NICs max-min fairly,
// as flows of the `flow` engine.
#include <optional>
#include <vector>

#include "sim/engine/flow_network.hpp"
#include "sim/updates/update_job.hpp"

namespace trainyard {

// Servers that are always alike: one for all of them.
struct ServerClass {
  std::vector<int> nodes;
  int worker = -1;  // whose node they are on; -1: nodes of their own
  int servers = 0;
  Nic nic;
  std::vector<double> layers;  // of each server: its share of all parameters, by layer
  double shard() const;        // of all layers
};
std::vector<ServerClass> server_classes(const UpdateJob& job);

enum class ServerExchange { kPush, kPull };

// What a worker and a class of servers send each other goes one after another: what is asked for while a flow moves
// waits for it, and then moves at once. A class that is on the worker's own node, or has nothing of it, has no flow.
class StarNetwork {
 public:
  explicit StarNetwork(const UpdateJob& job);
  StarNetwork(const StarNetwork&) = delete;
  StarNetwork& operator=(const StarNetwork&) = delete;

  struct Exchanged {
    int worker = 0;
    ServerExchange kind = ServerExchange::kPush;
  };
  // How many flows that makes: each begins when its latency is over, and ends with an event is_flow. `scale`: bytes for
  // each byte of parameters.
  int start(Exchanged what, double scale, double now);
  // The same of one layer and one class; none where a flow is on its way already.
  int start_layer(Exchanged what, std::size_t servers, std::size_t layer, double scale, double now);

  bool is_moving(Exchanged what, std::size_t servers) const { return ways_[way_of(what, servers)].is_moving; }

  // An event that is no flow, after a delay: whose it is, and what it is for.
  void after(double now, Seconds delay, int worker, int what = 0) {
    part_.events.push(EventKind::kKernelsEnd, now + delay.value, what * workers_count() + worker);
  }

  struct Happened {
    double time = 0.0;
    int worker = 0;
    bool is_flow = false;     // a flow of its transfer ended; else its delay is over
    int what = 0;             // of a delay
    std::size_t servers = 0;  // of a flow: the class
    ServerExchange kind = ServerExchange::kPush;
    int layers = 0;       // of a flow: of how many start_layer it and those before it carried all
    bool is_last = true;  // of a flow: nothing more waits behind it
  };
  // The next thing that happens, if there is one.
  std::optional<Happened> next();

  const std::vector<ServerClass>& classes() const { return servers_; }
  // By node: workers, then servers on nodes of their own.
  const std::vector<Bytes>& sent() const { return sent_; }
  const std::vector<Bytes>& received() const { return received_; }

 private:
  // Of a worker and a class of servers, one way.
  struct Way {
    bool is_moving = false;
    double waiting = 0.0;  // share of the shard's bytes
    int asked = 0;         // layers
    int moving = 0;        // likewise, with all that its flow carries
  };
  int workers_count() const { return static_cast<int>(workers_.size()); }
  int ask(Exchanged what, std::size_t servers, double share, double scale, double now);
  void count(const ServerClass& servers, Exchanged what, Bytes each);
  std::size_t way_of(Exchanged what, std::size_t servers) const {
    return 2 * (static_cast<std::size_t>(what.worker) * servers_.size() + servers) +
           (what.kind == ServerExchange::kPush ? 0 : 1);
  }
  void move(std::size_t way);

  std::vector<Nic> workers_;
  std::vector<ServerClass> servers_;
  Bytes parameters_;
  std::vector<Bytes> sent_;
  std::vector<Bytes> received_;
  Quotient quotient_;
  FlowNetwork network_;
  FlowNetwork::Part part_;
  std::vector<Way> ways_;
  double now_ = 0.0;
};

}  // namespace trainyard
