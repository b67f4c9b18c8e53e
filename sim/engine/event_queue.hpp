#pragma once
// What happens next: events by time, of equal times the first asked for.
#include <cstdint>
#include <limits>
#include <queue>
#include <vector>

namespace trainyard {

enum class EventKind : std::uint8_t {
  kKernelsEnd,   // a run of kernels: subject is the stream's number, version the stream's
  kArrive,       // a stream reaches a communication when its issue is over: subject as above
  kGroupStart,   // the latency of a group's call is over: subject is the group class
  kGroupDirect,  // the flows of a group's call that share no link are over: subject as above
  kFlowEnd       // a flow at its own limit: subject is the flow class, version the flow's
};

struct QueuedEvent {
  double time = 0.0;
  std::uint64_t number = 0;
  std::int32_t subject = 0;
  std::uint32_t version = 0;
  EventKind kind = EventKind::kKernelsEnd;

  bool operator<(const QueuedEvent& other) const {  // the queue's top is the greatest
    return time != other.time ? time > other.time : number > other.number;
  }
};

class EventQueue {
 public:
  void push(EventKind kind, double time, std::int32_t subject, std::uint32_t version = 0) {
    QueuedEvent event{.time = time, .number = asked_++, .subject = subject, .version = version, .kind = kind};
    // The earliest event stays out of the heap: most are the next to happen when they are asked for.
    if (has_first_ ? event < first_ : !heap_.empty() && event < heap_.top()) {
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
  double next_time() const {
    if (has_first_) {
      return first_.time;
    }
    return heap_.empty() ? std::numeric_limits<double>::infinity() : heap_.top().time;
  }
  QueuedEvent pop() {
    if (has_first_) {
      has_first_ = false;
      return first_;
    }
    const QueuedEvent event = heap_.top();
    heap_.pop();
    return event;
  }

 private:
  std::priority_queue<QueuedEvent> heap_;
  QueuedEvent first_;
  bool has_first_ = false;
  std::uint64_t asked_ = 0;
};

}  // namespace trainyard
