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
};
std::vector<ServerClass> server_classes(const UpdateJob& job);

enum class ServerExchange { kPush, kPull };

class StarNetwork {
 public:
  explicit StarNetwork(const UpdateJob& job);
  StarNetwork(const StarNetwork&) = delete;
  StarNetwork& operator=(const StarNetwork&) = delete;

  // How many flows a worker's transfer has. They begin when their latency is over, and each ends with an event
  // kFlowEnd; none where all servers are on its own node.
  int start(int worker, ServerExchange kind, double now);
  void after(double now, Seconds delay, int worker) {
    part_.events.push(EventKind::kKernelsEnd, now + delay.value, worker);
  }

  struct Happened {
    double time = 0.0;
    int worker = 0;
    bool is_flow = false;  // a flow of its transfer ended; else its delay is over
  };
  // The next thing that happens, if there is one.
  std::optional<Happened> next();

  // By node: workers, then servers on nodes of their own.
  const std::vector<Bytes>& sent() const { return sent_; }
  const std::vector<Bytes>& received() const { return received_; }

 private:
  void count(const ServerClass& servers, int worker, ServerExchange kind);

  std::vector<Nic> workers_;
  std::vector<ServerClass> servers_;
  Bytes shard_;
  std::vector<Bytes> sent_;
  std::vector<Bytes> received_;
  Quotient quotient_;
  FlowNetwork network_;
  FlowNetwork::Part part_;
  double now_ = 0.0;
};

}  // namespace trainyard
