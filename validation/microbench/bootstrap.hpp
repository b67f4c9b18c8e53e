#pragma once
// How the processes of a measurement find one another without MPI: rank 0 listens on a TCP port, the others connect.
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct BootstrapAddress {
  std::string host = "127.0.0.1";  // of rank 0
  int port = 29411;
};

// Every rank constructs one with the same size and address; construction returns once all are connected. Text of up to
// 1 MiB is exchanged in rounds that every rank takes part in, in the same order.
class Bootstrap {
 public:
  // Throws UserError when rank 0 cannot listen, when the others cannot reach it within `seconds`, or when two processes
  // claim one rank.
  Bootstrap(int rank, int size, const BootstrapAddress& address, double seconds = 60.0);
  ~Bootstrap();
  Bootstrap(const Bootstrap&) = delete;
  Bootstrap& operator=(const Bootstrap&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // What every rank said, in rank order. Throws UserError when a rank has gone.
  std::vector<std::string> all_gather(std::string_view mine);
  // Rank 0's text.
  std::string broadcast(std::string_view from_rank_0);
  void barrier() { all_gather(""); }

 private:
  void listen_for_others(const BootstrapAddress& address, double seconds);
  void connect_to_first(const BootstrapAddress& address, double seconds);

  int rank_;
  int size_;
  std::vector<int> peers_;  // rank 0: a socket for each rank (its own slot unused); others: one to rank 0
};

}  // namespace trainyard
