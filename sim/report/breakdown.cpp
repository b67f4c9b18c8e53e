#include "sim/report/breakdown.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/parallel.hpp"
#include "sim/engine/column_times.hpp"

namespace trainyard {
namespace {

struct CommunicationSpan {
  double begin;
  double end;
  Seconds Breakdown::*cause;
  int rank;  // the lower wins where intervals overlap
};
constexpr int kMoves = 0;
constexpr int kAwaitsSamples = 1;
constexpr int kAwaitsMembers = 2;

Seconds Breakdown::*cause_of(Category category) {
  switch (category) {
    case Category::kTensor:
      return &Breakdown::exposed_tp;
    case Category::kPipeline:
      return &Breakdown::exposed_pp;
    case Category::kData:
      return &Breakdown::exposed_dp;
    case Category::kContext:
      return &Breakdown::exposed_cp;
    case Category::kExpert:
      return &Breakdown::exposed_ep;
    case Category::kOptimizer:
      return &Breakdown::optimizer;
    case Category::kHost:
      return &Breakdown::host;
    case Category::kOffload:
      return &Breakdown::other;
    case Category::kInput:
      return &Breakdown::input;
    case Category::kCompute:
      break;
  }
  return &Breakdown::compute;
}

// What a rank's communications do while none of its kernels runs. Asked for one gap after the other.
class Gaps {
 public:
  explicit Gaps(std::vector<CommunicationSpan> communications) : communications_(std::move(communications)) {
    std::stable_sort(communications_.begin(), communications_.end(),
                     [](const CommunicationSpan& a, const CommunicationSpan& b) { return a.begin < b.begin; });
  }

  // Attributes [begin, end) to the communication that moves or waits then, else to the host.
  void attribute(double begin, double end, Breakdown& sum) {
    for (double now = begin; now < end;) {
      const CommunicationSpan* best = best_at(now);
      double until = best == nullptr ? end : std::min(end, best->end);
      if (next_ < communications_.size()) {
        until = std::min(until, communications_[next_].begin);
      }
      sum.*(best == nullptr ? &Breakdown::host : best->cause) += Seconds{until - now};
      now = until;
    }
  }

 private:
  // Of those that have begun and are not over the one of the lowest rank, the earliest where several are.
  const CommunicationSpan* best_at(double now) {
    const auto later = [this](std::size_t a, std::size_t b) {
      return std::pair(communications_[a].rank, a) > std::pair(communications_[b].rank, b);
    };
    for (; next_ < communications_.size() && communications_[next_].begin <= now; ++next_) {
      begun_.push_back(next_);
      std::push_heap(begun_.begin(), begun_.end(), later);
    }
    while (!begun_.empty() && communications_[begun_.front()].end <= now) {
      std::pop_heap(begun_.begin(), begun_.end(), later);
      begun_.pop_back();
    }
    return begun_.empty() ? nullptr : &communications_[begun_.front()];
  }

  std::vector<CommunicationSpan> communications_;
  std::size_t next_ = 0;            // of them: has not begun
  std::vector<std::size_t> begun_;  // a heap, the best in front; those that are over leave it when they come there
};

// What the host's processors do for a reduction beside the data flow counts as its communication does.
bool is_negotiation(const Operation& operation) {
  return operation.kind == OperationKind::kKernels && operation.stream == StreamName::kHostUpdate &&
         operation.category == Category::kData;
}

bool is_input(const Operation& operation) {
  return operation.category == Category::kInput;
}

// When an operation could have begun but for its samples, and when these were there. Nothing where it waits for none.
std::optional<CommunicationSpan> wait_for_samples(const RankProgram& program, const RankTimeline& rank,
                                                  const Operation& operation, double stream_free) {
  double ready = stream_free;
  double samples = 0.0;
  for (std::uint32_t w = 0; w < operation.waits; ++w) {
    const std::size_t awaited = program.waits[operation.first_wait + w].index();
    double& latest = is_input(program.operations[awaited]) ? samples : ready;
    latest = std::max(latest, rank.end[awaited]);
  }
  return samples > ready ? std::optional(CommunicationSpan{ready, samples, &Breakdown::input, kAwaitsSamples})
                         : std::nullopt;
}

// Where a rank waits for samples: before what needs them, and at the end of the step for those of the next one. What
// makes or copies them beside that is hidden.
void add_waits_for_samples(const RankProgram& program, const RankTimeline& rank,
                           std::vector<CommunicationSpan>& spans) {
  std::array<double, kStreams> free{};
  double last = 0.0;
  double last_samples = 0.0;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (is_input(operation)) {
      last_samples = std::max(last_samples, rank.end[i]);
      continue;
    }
    const bool waits = operation.kind == OperationKind::kHostWait;
    const bool on_stream = !waits && operation.kind != OperationKind::kHostWork;
    double& of_stream = free[static_cast<std::size_t>(operation.stream)];
    if (const auto span = wait_for_samples(program, rank, operation, on_stream ? of_stream : 0.0)) {
      spans.push_back(*span);
    }
    if (on_stream) {
      of_stream = rank.end[i];
      last = std::max(last, rank.end[i]);
    }
  }
  if (last_samples > last) {
    spans.push_back({last, last_samples, &Breakdown::input, kAwaitsSamples});
  }
}

Breakdown of_rank(const Program& whole, const RankTimeline& rank, double step) {
  const RankProgram& program = whole.classes[rank.program_class.index()];
  const std::vector<double> start = start_times(program, rank);
  std::vector<CommunicationSpan> communications;
  communications.reserve(rank.moving.size());
  auto next_moving = rank.moving.begin();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (is_negotiation(operation)) {
      communications.push_back({start[i], rank.end[i], cause_of(operation.category), kMoves});
    }
    if (operation.kind != OperationKind::kCommunication) {
      continue;
    }
    const double moving = *next_moving++;
    if (is_input(operation)) {
      continue;
    }
    if (moving > start[i]) {
      communications.push_back({start[i], moving, &Breakdown::bubble, kAwaitsMembers});
    }
    communications.push_back({moving, rank.end[i], cause_of(operation.category), kMoves});
  }
  if (std::any_of(program.operations.begin(), program.operations.end(), is_input)) {
    add_waits_for_samples(program, rank, communications);
  }
  Gaps gaps(std::move(communications));
  const bool varies = whole.variation.any();
  Breakdown sum;
  double now = 0.0;
  auto slowed = rank.slowed.begin();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.kind != OperationKind::kKernels || is_negotiation(operation) || is_input(operation)) {
      continue;
    }
    gaps.attribute(now, std::max(now, start[i]), sum);
    const double span = rank.end[i] - std::max(now, start[i]);
    double lost = 0.0;
    if (slowed != rank.slowed.end() && slowed->first == i) {
      lost = (slowed++)->second;
    }
    const double slowness = varies ? whole.slowness(rank.rank, program, i) : 1.0;
    const double busy = std::min(span, operation.run.device.value * slowness + lost);
    sum.*cause_of(operation.category) += Seconds{busy};
    sum.host += Seconds{span - busy};  // between kernels that were issued late
    now = std::max(now, rank.end[i]);
  }
  const double last = *std::max_element(rank.end.begin(), rank.end.end());
  gaps.attribute(now, std::max(now, last), sum);
  sum.bubble += Seconds{step - std::max(now, last)};
  return sum;
}

}  // namespace

std::array<Breakdown::Part, 11> Breakdown::parts() const {
  return {{{"compute", compute},
           {"exposed_tp", exposed_tp},
           {"exposed_pp", exposed_pp},
           {"exposed_dp", exposed_dp},
           {"exposed_cp", exposed_cp},
           {"exposed_ep", exposed_ep},
           {"bubble", bubble},
           {"host", host},
           {"input", input},
           {"optimizer", optimizer},
           {"other", other}}};
}

Seconds Breakdown::total() const {
  Seconds sum{};
  for (const Part& part : parts()) {
    sum += part.time;
  }
  return sum;
}

Breakdown break_down(const Program& program, const Timeline& timeline) {
  Breakdown average;
  double devices = 0.0;
  std::vector<Breakdown> of_ranks(timeline.ranks.size());
  in_parallel(of_ranks.size(), workers_for(operations_in(timeline)),
              [&](std::size_t r) { of_ranks[r] = of_rank(program, timeline.ranks[r], timeline.step.value); });
  for (std::size_t r = 0; r < of_ranks.size(); ++r) {
    const Breakdown& one = of_ranks[r];
    const auto weight = static_cast<double>(timeline.ranks[r].multiplicity);
    devices += weight;
    for (Seconds Breakdown::*part : kBreakdownParts) {
      average.*part += one.*part * weight;
    }
  }
  for (Seconds Breakdown::*part : kBreakdownParts) {
    average.*part /= devices;
  }
  return average;
}

}  // namespace trainyard
