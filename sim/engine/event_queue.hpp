#pragma once
// What happens next: events by time, of equal times the first asked for.
#include <algorithm>
#include <bit>
#include <boost/heap/d_ary_heap.hpp>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace trainyard {

// As wide as it may be: events without padding are copied faster.
enum class EventKind : std::uint64_t {
  kKernelsEnd,    // a run of kernels: subject is the stream's number, version the stream's
  kArrive,        // a stream reaches a communication when its issue is over: subject as above
  kArriveAcross,  // likewise, one that leaves its island
  kGroupStart,    // the latency of a group's call is over: subject is the group class
  kGroupDirect,   // the flows of a group's call that share no link are over: subject as above
  kFlowEnd        // a flow at its own limit: subject is the flow class, version the flow's
};

struct QueuedEvent {
  double time = 0.0;
  std::uint64_t number = 0;
  std::int32_t subject = 0;
  std::uint32_t version = 0;
  EventKind kind = EventKind::kKernelsEnd;

  // Without branches: which of two events is first is anybody's guess, also the processor's. Of numbers that are not
  // negative the bits have the same order.
  bool before(const QueuedEvent& other) const {
    const auto own = std::bit_cast<std::uint64_t>(time);
    const auto others = std::bit_cast<std::uint64_t>(other.time);
    return ((own < others) | ((own == others) & (number < other.number))) != 0;
  }
};

class EventQueue {
 public:
  void push(EventKind kind, double time, std::int32_t subject, std::uint32_t version = 0) {
    const QueuedEvent event{.time = time, .number = asked_++, .subject = subject, .version = version, .kind = kind};
    // The earliest event stays out of the heap: most are the next to happen when they are asked for.
    if (has_first_ ? first_.before(event) : !heap_.empty() && heap_.top().before(event)) {
      heap_.push(event);
      return;
    }
    if (has_first_) {
      heap_.push(first_);
    }
    first_ = event;
    has_first_ = true;
  }
  bool empty() const { return !has_first_ && heap_.empty(); }
  double next_time() const { return empty() ? std::numeric_limits<double>::infinity() : next().time; }
  // The next to happen; there is one.
  const QueuedEvent& next() const { return has_first_ ? first_ : heap_.top(); }
  QueuedEvent pop() {
    if (has_first_) {
      has_first_ = false;
      return first_;
    }
    const QueuedEvent event = heap_.top();
    heap_.pop();
    return event;
  }
  // All that is left, in its order; the queue is empty then.
  std::vector<QueuedEvent> take_all() {
    std::vector<QueuedEvent> all(heap_.begin(), heap_.end());
    heap_.clear();
    if (std::exchange(has_first_, false)) {
      all.push_back(first_);
    }
    std::sort(all.begin(), all.end(), [](const QueuedEvent& a, const QueuedEvent& b) { return a.before(b); });
    return all;
  }

 private:
  struct Later {
    bool operator()(const QueuedEvent& a, const QueuedEvent& b) const { return b.before(a); }
  };
  // Of four children to a node it is half as deep as of two, and the four lie in two cache lines.
  boost::heap::d_ary_heap<QueuedEvent, boost::heap::arity<4>, boost::heap::compare<Later>> heap_;
  QueuedEvent first_;
  bool has_first_ = false;
  std::uint64_t asked_ = 0;
};

}  // namespace trainyard
