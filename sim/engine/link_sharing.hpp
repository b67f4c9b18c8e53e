#pragma once
// What the engine asks of SimGrid, the reference of how links are shared out. SimGrid comes with thirty libraries,
// which take longer to load than most answers to compute; so the code that speaks to it is a module of its own
// (sim/engine/simgrid), loaded when a simulation asks for it.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace trainyard {

// Who shares links out: the engine (FairShares), or SimGrid, whose answer it is held to.
enum class LinkSharer { kEngine, kSimgrid };

struct SharedFlow {
  double rate_limit = 0.0;  // bytes per second; zero: none
  // Links in the order of the route, and how many flows of this class pass through one link of that class. Empty for a
  // flow that shares nothing and is never started.
  std::vector<std::pair<std::int32_t, std::int32_t>> links;
};

struct SharedNetwork {
  std::vector<double> bandwidth;  // of every link, in bytes per second
  std::vector<SharedFlow> flows;
};

// One per process: SimGrid keeps its clock.
class LinkSharing {
 public:
  LinkSharing() = default;
  LinkSharing(const LinkSharing&) = delete;
  LinkSharing& operator=(const LinkSharing&) = delete;
  virtual ~LinkSharing() = default;

  // Runs the simulation: `conductor` is where everything below is called from.
  virtual void run(const std::function<void()>& conductor) = 0;
  virtual void sleep_until(double time) const = 0;
  // The bytes begin to move at once.
  virtual void start_flow(std::int32_t flow, double bytes) = 0;
  // Waits until a flow ends or until `until`, whichever is first; nothing for the latter.
  virtual std::optional<std::int32_t> wait_for_flow(double until) = 0;
  virtual double clock() const = 0;
};

// Loads the module when it is first called.
std::unique_ptr<LinkSharing> share_links_in_simgrid(const SharedNetwork& network);

}  // namespace trainyard
