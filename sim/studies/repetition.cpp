#include "sim/studies/repetition.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// Where rounding of times that are sums of up to a million terms ends and a different course of events begins, as a
// share of the step.
constexpr double kRounding = 1e-11;

bool same_work(const Operation& a, const Operation& b) {
  return a.kind == b.kind && a.stream == b.stream && a.name == b.name && a.chunk == b.chunk &&
         a.run.device == b.run.device && a.run.host == b.run.host && a.communications == b.communications &&
         a.waits == b.waits;
}

// Operation j of `b` does what operation i of `a` does, later by `shift`.
struct Comparison {
  const RankProgram& a_program;
  const RankTimeline& a;
  const RankProgram& b_program;
  const RankTimeline& b;
  double rounding;

  bool same(std::size_t i, std::size_t j, double shift) const {
    const auto near = [&](const std::vector<double>& one, const std::vector<double>& other) {
      return std::abs(one[i] + shift - other[j]) <= rounding;
    };
    // A host that runs ahead may do something earlier than a period ago, never later.
    const auto no_later = [&](const std::vector<double>& one, const std::vector<double>& other) {
      return other[j] <= one[i] + shift + rounding;
    };
    if (!same_work(a_program.operations[i], b_program.operations[j]) || !no_later(a.issued, b.issued)) {
      return false;
    }
    switch (a_program.operations[i].kind) {
      case OperationKind::kHostWork:
        return no_later(a.end, b.end);
      case OperationKind::kHostWait:
        return no_later(a.start, b.start) && near(a.end, b.end);
      default:
        return near(a.start, b.start) && near(a.moving, b.moving) && near(a.end, b.end);
    }
  }
};

// One rank. The operations in front keep their times, those behind are later by `later`; together they are all. What is
// inserted between them repeats the period before it: where a host gains on its device, the kernels that wait for it
// may still become fewer, although what comes behind shows nothing of it.
bool repeats_on_rank(const RankProgram& a_program, const RankTimeline& a, const RankProgram& b_program,
                     const RankTimeline& b, double later, double rounding) {
  const std::size_t count = a_program.operations.size();
  if (b_program.operations.size() < count) {
    return false;
  }
  const std::size_t more = b_program.operations.size() - count;
  const Comparison steps{a_program, a, b_program, b, rounding};
  std::size_t front = 0;
  while (front < count && steps.same(front, front, 0.0)) {
    ++front;
  }
  std::size_t back = 0;
  while (back < count && steps.same(count - 1 - back, count - 1 - back + more, later)) {
    ++back;
  }
  if (front + back < count || front < more) {
    return false;
  }
  const Comparison periods{b_program, b, b_program, b, rounding};
  for (std::size_t i = front - more; i < front; ++i) {
    if (!periods.same(i, i + more, later)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::vector<ShortSteps> short_steps(const Scenario& scenario) {
  // Micro-batches beyond those in flight, for the steady state to settle. Most pipelines settle with the first; hosts
  // that gain on their devices and zero-bubble schedules take longer.
  constexpr std::array<std::int64_t, 3> kSteady = {8, 24, 144};
  const std::int64_t period = scenario.layout.pp;
  const std::int64_t all = scenario.micro_batches();
  std::vector<ShortSteps> out;
  // A user's table says what its own number of micro-batches does.
  if (scenario.fold == Fold::kOff || scenario.training.schedule_table) {
    return out;
  }
  for (const std::int64_t steady : kSteady) {
    const std::int64_t least = 3 * scenario.layout.pp + steady;
    const std::int64_t shorter = least + (all - least) % period;
    // Where two short steps cost half of the whole or more it is simulated as it is.
    if (all >= 2 * (2 * shorter + period)) {
      out.push_back({.shorter = shorter, .longer = shorter + period, .times = (all - shorter) / period - 1});
    }
  }
  return out;
}

Scenario with_micro_batches(const Scenario& scenario, std::int64_t micro_batches) {
  Scenario changed = scenario;
  changed.training.global_batch = micro_batches * scenario.training.micro_batch * scenario.layout.dp;
  TY_ASSERT(changed.micro_batches() == micro_batches);
  return changed;
}

bool repeats(const Program& shorter_program, const Timeline& shorter, const Program& longer_program,
             const Timeline& longer) {
  if (shorter.ranks.size() != longer.ranks.size() || shorter_program.classes.size() != longer_program.classes.size()) {
    return false;
  }
  const double later = (longer.step - shorter.step).value;
  for (std::size_t r = 0; r < shorter.ranks.size(); ++r) {
    const RankTimeline& a = shorter.ranks[r];
    const RankTimeline& b = longer.ranks[r];
    if (a.rank != b.rank || a.program_class != b.program_class || a.multiplicity != b.multiplicity ||
        !repeats_on_rank(shorter_program.classes[a.program_class.index()], a,
                         longer_program.classes[b.program_class.index()], b, later, longer.step.value * kRounding)) {
      return false;
    }
  }
  return true;
}

Report extend_report(const Scenario& scenario, const Layout& layout, const Report& shorter, const Report& longer,
                     std::int64_t times) {
  const auto extend = [&](auto a, auto b) { return b + static_cast<decltype(b)>(times) * (b - a); };
  const auto extend_time = [&](Seconds a, Seconds b) { return b + (b - a) * static_cast<double>(times); };
  Report out = longer;
  out.step = extend_time(shorter.step, longer.step);
  set_rates(out, scenario, layout);
  for (Seconds Breakdown::*part : {&Breakdown::compute, &Breakdown::exposed_tp, &Breakdown::exposed_pp,
                                   &Breakdown::exposed_dp, &Breakdown::exposed_cp, &Breakdown::exposed_ep,
                                   &Breakdown::bubble, &Breakdown::host, &Breakdown::optimizer, &Breakdown::other}) {
    out.breakdown.*part = extend_time(shorter.breakdown.*part, longer.breakdown.*part);
  }
  std::map<std::pair<std::string, std::string>, const CriticalPart*> parts;
  for (const CriticalPart& part : shorter.critical_path) {
    parts[{part.rank_class, part.operation}] = &part;
  }
  for (CriticalPart& part : out.critical_path) {
    const auto found = parts.find({part.rank_class, part.operation});
    const CriticalPart before = found == parts.end() ? CriticalPart{} : *found->second;
    part.time = extend_time(before.time, part.time);
    part.count = extend(before.count, part.count);
  }
  std::stable_sort(out.critical_path.begin(), out.critical_path.end(),
                   [](const CriticalPart& a, const CriticalPart& b) { return a.time > b.time; });
  for (std::size_t l = 0; l < out.links.size(); ++l) {
    out.links[l].bytes.value = extend(shorter.links[l].bytes.value, longer.links[l].bytes.value);
  }
  return out;
}

}  // namespace trainyard
