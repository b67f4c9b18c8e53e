#pragma once
// A whole step in the event loop: island by island for as long as they have nothing to do with each other, at the same
// time on all processors, and all together while something between them is under way.
#include <cstddef>
#include <optional>
#include <vector>

#include "sim/engine/event_loop.hpp"
#include "sim/engine/timeline.hpp"

namespace trainyard {

class EventRun {
 public:
  // What `islands` is about; all three are kept by reference.
  EventRun(const Program& program, const Fabric& fabric, const Quotient& quotient, const Islands& islands);
  // On at most so many threads: the timeline is the same to the bit on any number of them. Throws UserError of exit
  // code 4 when operations are left that wait for each other.
  Timeline run(std::size_t workers);
  // The same of a quotient that is exact where no flow holds another up; nothing when one does.
  std::optional<Timeline> run_unshared(std::size_t workers);

 private:
  bool simulate(std::size_t workers);
  bool is_held_up() const;
  Timeline take(std::size_t workers);
  void gather();
  void scatter();
  std::size_t island_of(const QueuedEvent& event) const;
  void throw_on_deadlock();

  const Fabric& fabric_;
  Timeline timeline_;
  std::vector<ClassStreams> class_streams_;
  SimulatedMachine machine_;
  std::vector<std::vector<std::size_t>> ranks_;  // by island
  std::vector<EventLoop> islands_;
  EventLoop whole_;
};

// The same, on the processors of this process, with the islands that are there if it pays.
Timeline run_events(const Program& program, const Fabric& fabric, const Quotient& quotient);
std::optional<Timeline> run_unshared_events(const Program& program, const Fabric& fabric, const Quotient& quotient);

}  // namespace trainyard
