#include "sim/predict/inserted_operations.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/engine/column_times.hpp"

namespace trainyard {
namespace {

bool runs_on_device(const Operation& operation) {
  return operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication;
}

bool same_work(const Operation& a, const Operation& b) {
  return a.kind == b.kind && a.stream == b.stream && a.name == b.name && a.chunk == b.chunk &&
         a.run.device == b.run.device && a.run.host == b.run.host && a.communications == b.communications &&
         a.waits == b.waits;
}

class Alignment {
 public:
  Alignment(const RankProgram& a_program, const RankTimeline& a, const RankProgram& b_program, const RankTimeline& b,
            double rounding)
      : a_program_(a_program),
        a_(a),
        a_start_(start_times(a_program, a)),
        a_issued_(issue_times(a_program, a)),
        a_moving_(moving_times(a_program, a)),
        b_program_(b_program),
        b_(b),
        b_start_(start_times(b_program, b)),
        b_issued_(issue_times(b_program, b)),
        b_moving_(moving_times(b_program, b)),
        rounding_(rounding) {}

  std::optional<std::vector<Insertion>> find() {
    if (b_count() < a_count()) {
      return std::nullopt;
    }
    std::vector<Insertion> out;
    std::size_t i = 0;
    std::size_t shift = 0;
    double later = 0.0;
    while (true) {
      const std::size_t begin = i;
      while (i < a_count() && i + shift < b_count() && same(i, i + shift, later)) {
        ++i;
      }
      if (i == a_count() && i + shift == b_count()) {
        return out;
      }
      const auto found = i > begin ? insertion_at(i, shift, later) : std::nullopt;
      if (!found) {
        return std::nullopt;
      }
      shift += found->more;
      out.push_back(*found);
      out.back().from = free_from(begin, *found, shift, later);
      out.back().until = free_until(i);
      later = found->later;
    }
  }

 private:
  std::size_t a_count() const { return a_program_.operations.size(); }
  std::size_t b_count() const { return b_program_.operations.size(); }

  // Operation j of the longer step does what operation i of the shorter one does, later by `later`.
  bool same(std::size_t i, std::size_t j, double later) const {
    const auto near = [&](const std::vector<double>& one, const std::vector<double>& other) {
      return std::abs(one[i] + later - other[j]) <= rounding_;
    };
    // A host that runs ahead of its device may be further ahead, never less far.
    const auto no_later = [&](const std::vector<double>& one, const std::vector<double>& other) {
      return other[j] <= one[i] + later + rounding_;
    };
    if (!same_work(a_program_.operations[i], b_program_.operations[j]) || !no_later(a_issued_, b_issued_)) {
      return false;
    }
    switch (a_program_.operations[i].kind) {
      case OperationKind::kHostWork:
        return no_later(a_.end, b_.end);
      case OperationKind::kHostWait:
        return no_later(a_start_, b_start_) && near(a_.end, b_.end);
      default:
        return near(a_start_, b_start_) && near(a_moving_, b_moving_) && near(a_.end, b_.end);
    }
  }

  // What is inserted in front of operation i of the shorter step, which had gone on with operation i + shift of the
  // longer one: the fewest operations that repeat those before them and bring the work of operation i next.
  std::optional<Insertion> insertion_at(std::size_t i, std::size_t shift, double before) const {
    std::size_t device = i;
    while (device < a_count() && !runs_on_device(a_program_.operations[device])) {
      ++device;
    }
    if (device == a_count()) {
      return std::nullopt;
    }
    const std::size_t most = std::min(i, b_count() - a_count() - shift);
    for (std::size_t more = 1; more <= most; ++more) {
      const std::size_t next = device + shift + more;
      if (!same_work(a_program_.operations[i], b_program_.operations[i + shift + more]) ||
          !same_work(a_program_.operations[device], b_program_.operations[next])) {
        continue;
      }
      const double later = b_.end[next] - a_.end[device];
      if (later >= before && same(i, i + shift + more, later) && repeats(i, more, shift, later)) {
        return Insertion{.at = i, .more = more, .later = later};
      }
    }
    return std::nullopt;
  }

  // The operations in front of i come again right after themselves.
  bool repeats(std::size_t i, std::size_t more, std::size_t shift, double later) const {
    for (std::size_t k = i - more; k < i; ++k) {
      if (!same(k, k + shift + more, later)) {
        return false;
      }
    }
    return true;
  }

  // Up to here something runs that is not there twice in the longer step. `before`: as `later`, without this insertion.
  double free_from(std::size_t begin, const Insertion& insertion, std::size_t shift, double before) const {
    std::size_t first = insertion.at;
    while (first > begin && same(first - 1, first - 1 + shift, insertion.later)) {
      --first;
    }
    const double inserted = insertion.later - before;
    double latest = 0.0;
    for (std::size_t i = 0; i < std::min(first + insertion.more, insertion.at); ++i) {
      if (runs_on_device(a_program_.operations[i])) {
        // The first that come twice are over a period later.
        latest = std::max(latest, i < first ? a_.end[i] : a_.end[i] - inserted);
      }
    }
    return latest;
  }
  // From here on.
  double free_until(std::size_t at) const {
    double earliest = std::numeric_limits<double>::infinity();
    for (std::size_t i = at; i < a_count(); ++i) {
      if (runs_on_device(a_program_.operations[i])) {
        earliest = std::min(earliest, a_start_[i]);
      }
    }
    return earliest;
  }

  const RankProgram& a_program_;
  const RankTimeline& a_;
  std::vector<double> a_start_;
  std::vector<double> a_issued_;
  std::vector<double> a_moving_;
  const RankProgram& b_program_;
  const RankTimeline& b_;
  std::vector<double> b_start_;
  std::vector<double> b_issued_;
  std::vector<double> b_moving_;
  double rounding_;
};

}  // namespace

std::optional<std::vector<Insertion>> insertions(const RankProgram& shorter_program, const RankTimeline& shorter,
                                                 const RankProgram& longer_program, const RankTimeline& longer,
                                                 double rounding) {
  return Alignment(shorter_program, shorter, longer_program, longer, rounding).find();
}

bool meet(const std::vector<std::vector<Insertion>>& of_ranks, double rounding) {
  const std::vector<Insertion>& first = of_ranks.front();
  for (std::size_t k = 0; k < first.size(); ++k) {
    double from = 0.0;
    double until = std::numeric_limits<double>::infinity();
    for (const std::vector<Insertion>& one : of_ranks) {
      if (one.size() != first.size() || std::abs(one[k].later - first[k].later) > rounding) {
        return false;
      }
      from = std::max(from, one[k].from);
      until = std::min(until, one[k].until);
    }
    if (from > until + rounding) {
      return false;
    }
  }
  return !first.empty();
}

}  // namespace trainyard
