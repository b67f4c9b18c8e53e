#include "sim/updates/shared_link.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

namespace trainyard {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// A flow in a queue, out of date when it has changed sides since.
struct QueuedFlow {
  double key = 0.0;
  std::size_t flow = 0;
  unsigned change = 0;
  bool operator>(const QueuedFlow& other) const { return key != other.key ? key > other.key : flow > other.flow; }
};

// The least key first.
class FlowQueue {
 public:
  explicit FlowQueue(const std::vector<unsigned>& changes) : changes_(changes) {}
  void push(double key, std::size_t flow) { queue_.push({key, flow, changes_[flow]}); }
  // Of those that are up to date; kNever where there is none.
  double least() {
    while (!queue_.empty() && queue_.top().change != changes_[queue_.top().flow]) {
      queue_.pop();
    }
    return queue_.empty() ? kNever : queue_.top().key;
  }
  std::size_t first() const { return queue_.top().flow; }  // after least()

 private:
  const std::vector<unsigned>& changes_;
  std::priority_queue<QueuedFlow, std::vector<QueuedFlow>, std::greater<>> queue_;
};

// Flows are free where they take all that they can, and held where they get `level`, the equal share. What a held flow
// has moved is known of all at once: `moved_`, the integral of the level.
class SharedLink {
 public:
  SharedLink(double capacity, const std::vector<LinkTransfer>& transfers)
      : transfers_(transfers),
        capacity_(capacity),
        changes_(transfers.size()),
        held_bytes_(transfers.size()),
        ends_(transfers.size()),
        free_ends_(changes_),
        free_rates_(changes_),
        held_ends_(changes_),
        held_rates_(changes_) {}

  std::vector<Seconds> run() {
    std::vector<std::size_t> order(transfers_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return transfers_[a].start.value < transfers_[b].start.value;
    });
    for (std::size_t next = 0; next < order.size() || free_ + held_ > 0;) {
      const double starts = next < order.size() ? transfers_[order[next]].start.value : kNever;
      const double held_end = held_ > 0 ? now_ + std::max(0.0, held_ends_.least() - moved_) / level_ : kNever;
      const double free_end = free_ > 0 ? free_ends_.least() : kNever;
      const double time = std::min({starts, held_end, free_end});
      moved_ += held_ > 0 ? (time - now_) * level_ : 0.0;
      now_ = time;
      if (starts <= std::min(held_end, free_end)) {
        hold(order[next], transfers_[order[next]].bytes.value);
        ++next;
      } else if (held_end <= free_end) {
        end_held();
      } else {
        end_free();
      }
      find_shares();
    }
    return std::move(ends_);
  }

 private:
  double most(std::size_t flow) const { return transfers_[flow].most.value; }

  void hold(std::size_t flow, double left) {
    ++changes_[flow];
    ++held_;
    held_bytes_[flow] = moved_ + left;
    held_ends_.push(held_bytes_[flow], flow);
    held_rates_.push(most(flow), flow);
  }
  void set_free(std::size_t flow) {
    ++changes_[flow];
    --held_;
    ++free_;
    taken_ += most(flow);
    const double end = now_ + std::max(0.0, held_bytes_[flow] - moved_) / most(flow);
    ends_[flow] = {end};
    free_ends_.push(end, flow);
    free_rates_.push(-most(flow), flow);
  }
  void release(std::size_t flow) {
    ++changes_[flow];
    --free_;
    taken_ = free_ > 0 ? taken_ - most(flow) : 0.0;
  }
  void end_held() {
    const std::size_t flow = held_ends_.first();
    ++changes_[flow];
    --held_;
    ends_[flow] = {now_};
  }
  void end_free() { release(free_ends_.first()); }

  // A flow that comes lowers the level, so that some are no longer free; one that goes raises it. To hold a flow whose
  // rate is above the level leaves the level below that rate, and to free one below it leaves it above: both end.
  void find_shares() {
    const auto level = [this] { return (capacity_ - taken_) / std::max(1, held_); };
    while (free_ > 0 && (held_ > 0 ? -free_rates_.least() > level() : taken_ > capacity_)) {
      free_rates_.least();
      const std::size_t flow = free_rates_.first();
      const double left = std::max(0.0, ends_[flow].value - now_) * most(flow);
      release(flow);
      hold(flow, left);
    }
    while (held_ > 0 && held_rates_.least() <= level()) {
      set_free(held_rates_.first());
    }
    level_ = level();
  }

  const std::vector<LinkTransfer>& transfers_;
  double capacity_;
  double now_ = 0.0;
  double moved_ = 0.0;
  double level_ = 0.0;
  double taken_ = 0.0;  // by free flows
  int free_ = 0;
  int held_ = 0;
  std::vector<unsigned> changes_;
  std::vector<double> held_bytes_;  // `moved_` at which a held flow ends
  std::vector<Seconds> ends_;
  FlowQueue free_ends_;
  FlowQueue free_rates_;
  FlowQueue held_ends_;
  FlowQueue held_rates_;
};

}  // namespace

std::vector<Seconds> shared_link_ends(BytesPerSecond capacity, const std::vector<LinkTransfer>& transfers) {
  return SharedLink(capacity.value, transfers).run();
}

}  // namespace trainyard
