#include "sim/report/breakdown.hpp"

#include <algorithm>
#include <vector>

namespace trainyard {
namespace {

struct Interval {
  double begin;
  double end;
  Seconds Breakdown::*cause;
  int rank;  // the lower wins where intervals overlap
};

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
    case Category::kCompute:
      break;
  }
  return &Breakdown::compute;
}

// Attributes [begin, end) to the communication that moves or waits then, else to the host.
void attribute_gap(double begin, double end, const std::vector<Interval>& communications, std::size_t& first,
                   Breakdown& sum) {
  while (first < communications.size() && communications[first].end <= begin) {
    ++first;
  }
  double now = begin;
  while (now < end) {
    const Interval* best = nullptr;
    double until = end;
    for (std::size_t i = first; i < communications.size() && communications[i].begin < end; ++i) {
      const Interval& one = communications[i];
      if (one.end <= now) {
        continue;
      }
      if (one.begin > now) {
        until = std::min(until, one.begin);
        continue;
      }
      if (best == nullptr || one.rank < best->rank) {
        best = &one;
      }
      until = std::min(until, one.end);
    }
    sum.*(best == nullptr ? &Breakdown::host : best->cause) += Seconds{until - now};
    now = until;
  }
}

Breakdown of_rank(const Program& whole, const RankTimeline& rank, double step) {
  const RankProgram& program = whole.classes[rank.program_class.index()];
  std::vector<Interval> communications;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.kind != OperationKind::kCommunication) {
      continue;
    }
    if (rank.moving[i] > rank.start[i]) {
      communications.push_back({rank.start[i], rank.moving[i], &Breakdown::bubble, 1});
    }
    communications.push_back({rank.moving[i], rank.end[i], cause_of(operation.category), 0});
  }
  std::stable_sort(communications.begin(), communications.end(),
                   [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  const bool varies = whole.variation.any();
  Breakdown sum;
  std::size_t first = 0;
  double now = 0.0;
  auto slowed = rank.slowed.begin();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.kind != OperationKind::kKernels) {
      continue;
    }
    attribute_gap(now, std::max(now, rank.start[i]), communications, first, sum);
    const double span = rank.end[i] - std::max(now, rank.start[i]);
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
  attribute_gap(now, std::max(now, last), communications, first, sum);
  sum.bubble += Seconds{step - std::max(now, last)};
  return sum;
}

}  // namespace

std::array<Breakdown::Part, 10> Breakdown::parts() const {
  return {{{"compute", compute},
           {"exposed_tp", exposed_tp},
           {"exposed_pp", exposed_pp},
           {"exposed_dp", exposed_dp},
           {"exposed_cp", exposed_cp},
           {"exposed_ep", exposed_ep},
           {"bubble", bubble},
           {"host", host},
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
  for (const RankTimeline& rank : timeline.ranks) {
    const Breakdown one = of_rank(program, rank, timeline.step.value);
    const auto weight = static_cast<double>(rank.multiplicity);
    devices += weight;
    for (Seconds Breakdown::*part : {&Breakdown::compute, &Breakdown::exposed_tp, &Breakdown::exposed_pp,
                                     &Breakdown::exposed_dp, &Breakdown::exposed_cp, &Breakdown::exposed_ep,
                                     &Breakdown::bubble, &Breakdown::host, &Breakdown::optimizer, &Breakdown::other}) {
      average.*part += one.*part * weight;
    }
  }
  for (Seconds Breakdown::*part : {&Breakdown::compute, &Breakdown::exposed_tp, &Breakdown::exposed_pp,
                                   &Breakdown::exposed_dp, &Breakdown::exposed_cp, &Breakdown::exposed_ep,
                                   &Breakdown::bubble, &Breakdown::host, &Breakdown::optimizer, &Breakdown::other}) {
    average.*part /= devices;
  }
  return average;
}

}  // namespace trainyard
