#pragma once
// What happens next: events by time, of equal times the first asked for.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace trainyard {

enum class EventKind : std::uint8_t {
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

  // Without branches: which of two events is first is anybody's guess, also the processor's.
  bool before(const QueuedEvent& other) const {
    return ((time < other.time) | ((time == other.time) & (number < other.number))) != 0;
  }
};

class EventQueue {
 public:
  void push(EventKind kind, double time, std::int32_t subject, std::uint32_t version = 0) {
    const QueuedEvent event{.time = time, .number = asked_++, .subject = subject, .version = version, .kind = kind};
    // The earliest event stays out of the heap: most are the next to happen when they are asked for.
    if (has_first_ ? first_.before(event) : !heap_.empty() && heap_.front().before(event)) {
      insert(event);
      return;
    }
    if (has_first_) {
      insert(first_);
    }
    first_ = event;
    has_first_ = true;
  }
  bool empty() const { return !has_first_ && heap_.empty(); }
  double next_time() const {
    if (has_first_) {
      return first_.time;
    }
    return heap_.empty() ? std::numeric_limits<double>::infinity() : heap_.front().time;
  }
  // The next to happen; there is one.
  const QueuedEvent& next() const { return has_first_ ? first_ : heap_.front(); }
  QueuedEvent pop() {
    if (has_first_) {
      has_first_ = false;
      return first_;
    }
    return take_front();
  }

  // All that is left, in its order; the queue is empty then.
  std::vector<QueuedEvent> take_all() {
    std::vector<QueuedEvent> all = std::exchange(heap_, {});
    if (std::exchange(has_first_, false)) {
      all.push_back(first_);
    }
    std::sort(all.begin(), all.end(), [](const QueuedEvent& a, const QueuedEvent& b) { return a.before(b); });
    return all;
  }

 private:
  // A heap of four children to a node is half as deep as one of two, and the four lie in two cache lines.
  static constexpr std::size_t kChildren = 4;

  void insert(const QueuedEvent& event) {
    std::size_t at = heap_.size();
    heap_.push_back(event);
    while (at > 0) {
      const std::size_t parent = (at - 1) / kChildren;
      if (!event.before(heap_[parent])) {
        break;
      }
      heap_[at] = heap_[parent];
      at = parent;
    }
    heap_[at] = event;
  }
  QueuedEvent take_front() {
    const QueuedEvent front = heap_.front();
    const QueuedEvent last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) {
      return front;
    }
    std::size_t at = 0;
    for (std::size_t child = 1; child < heap_.size(); child = kChildren * at + 1) {
      const std::size_t end = std::min(child + kChildren, heap_.size());
      std::size_t least = child;
      for (std::size_t other = child + 1; other < end; ++other) {
        least = heap_[other].before(heap_[least]) ? other : least;
      }
      if (!heap_[least].before(last)) {
        break;
      }
      heap_[at] = heap_[least];
      at = least;
    }
    heap_[at] = last;
    return front;
  }

  std::vector<QueuedEvent> heap_;
  QueuedEvent first_;
  bool has_first_ = false;
  std::uint64_t asked_ = 0;
};

}  // namespace trainyard
