#pragma once
// A whole step as SimGrid actors. Of every rank class the host is an actor and so is each of its streams; every group
// class is one that waits for its members and then lets its flows go. Nothing of the event loop is used: what happens
// when is SimGrid's doing alone.
//
// Actors run one at a time and are switched in SimGrid's calls only, so they share what is below without locks.
#include <array>
#include <cstdint>
#include <vector>

#include "sim/engine/gpu_load.hpp"
#include "sim/engine/simgrid/platform.hpp"

namespace trainyard {

class SimgridActors {
 public:
  SimgridActors(const SimgridStep& step, SimgridOutcome& outcome);
  void run();

 private:
  // Where an actor waits for what others do.
  struct Waker {
    simgrid::s4u::SemaphorePtr semaphore = simgrid::s4u::Semaphore::create(0);
    bool waiting = false;
    void wait();
    // Until then at the latest.
    void wait_until(double time);
    void wake();
  };
  struct Stream {
    std::vector<std::uint32_t> operations;  // in their order
    std::size_t over = 0;                   // of them
    bool running = false;                   // an operation
    bool in_kernels = false;
    std::int32_t outstanding = 0;  // communications of the present operation that are not over
    double moving = 0.0;
    GpuLoad load;  // that the present communication puts on the GPU
    Waker waker;
  };
  struct Rank {
    const RankClass* rank = nullptr;
    const RankProgram* program = nullptr;
    RankTimeline* timeline = nullptr;
    std::array<Stream, kStreams> streams;
    std::vector<std::uint32_t> position;              // of every operation in its stream
    std::vector<std::uint32_t> among_communications;  // of those that communicate: how many such come before
    std::size_t issued = 0;                           // operations
    Waker host;
  };
  // The n-th call of a group class, that some members have reached.
  struct Group {
    const GroupClass* group = nullptr;
    struct Member {
      Rank* rank;
      Stream* stream;
    };
    std::vector<Member> waiting;
    std::size_t arrived = 0;
    std::int64_t calls = 0;
    simgrid::s4u::SemaphorePtr complete = simgrid::s4u::Semaphore::create(0);
  };

  void host(Rank& rank);
  void stream(Rank& rank, std::size_t number);
  void kernels(Rank& rank, std::size_t number, std::uint32_t index);
  void communication(Rank& rank, std::size_t number, std::uint32_t index);
  void group(Group& group);
  static bool are_over(const Rank& rank, const Operation& operation);
  static bool is_drained(const Rank& rank);
  static GpuLoad load_of(const Rank& rank);
  static void wake_all(Rank& rank);
  static void reload(Rank& rank);

  const SimgridStep& step_;
  SimgridOutcome& outcome_;
  SimgridPlatform platform_;
  std::vector<Rank> ranks_;
  std::vector<Group> groups_;
};

}  // namespace trainyard

// What the module is loaded for. `restore_signals` undoes what SimGrid's engine takes for itself when it starts.
extern "C" void trainyard_simulate_in_simgrid(const trainyard::SimgridStep& step, void (*restore_signals)(),
                                              trainyard::SimgridOutcome& outcome);
