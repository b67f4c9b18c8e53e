#include "sim/report/critical_path.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

namespace trainyard {
namespace {

constexpr double kSameInstant = 1e-9;  // seconds: predecessors are matched by their end

// Position in a timeline: an operation of a simulated rank.
struct Place {
  std::size_t rank;
  std::size_t operation;
};

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Of an operation: the one before it on its stream, and the last host wait before it.
struct Before {
  std::size_t on_stream = kNone;
  std::size_t host_wait = kNone;
};

std::vector<Before> operations_before(const RankProgram& rank) {
  std::vector<Before> before(rank.operations.size());
  std::array<std::size_t, kStreams> on_stream;
  on_stream.fill(kNone);
  std::size_t host_wait = kNone;
  for (std::size_t i = 0; i < rank.operations.size(); ++i) {
    const Operation& operation = rank.operations[i];
    std::size_t& last = on_stream[static_cast<std::size_t>(operation.stream)];
    before[i] = {.on_stream = last, .host_wait = host_wait};
    if (operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication) {
      last = i;
    } else if (operation.kind == OperationKind::kHostWait) {
      host_wait = i;
    }
  }
  return before;
}

// Who takes part in the n-th call of a communication.
class Calls {
 public:
  Calls(const Program& program, const Timeline& timeline) {
    std::vector<std::int32_t> most(program.communications.size(), 0);
    for (const RankProgram& rank : program.classes) {
      std::vector<std::int32_t> calls(program.communications.size(), 0);
      std::vector<std::int32_t>& numbers = numbers_.emplace_back();
      for (const CommunicationId id : rank.communications) {
        numbers.push_back(calls[id.index()]++);
      }
      for (std::size_t c = 0; c < most.size(); ++c) {
        most[c] = std::max(most[c], calls[c]);
      }
    }
    std::size_t all = 0;
    for (const std::int32_t calls : most) {
      first_call_.push_back(all);
      all += static_cast<std::size_t>(calls);
    }
    first_member_.resize(all + 1, 0);
    // Counted first, so that the members of a call lie beside each other, in the order of the ranks.
    for_each(program, timeline, [this](std::size_t call, const Place&) { ++first_member_[call + 1]; });
    std::partial_sum(first_member_.begin(), first_member_.end(), first_member_.begin());
    members_.resize(first_member_.back());
    std::vector<std::size_t> next(first_member_.begin(), first_member_.end() - 1);
    for_each(program, timeline, [&](std::size_t call, const Place& place) { members_[next[call]++] = place; });
  }

  // Of the c-th communication of a class.
  std::span<const Place> members(ClassId program_class, CommunicationId id, std::size_t c) const {
    const std::size_t call = call_of(program_class, id, c);
    return std::span(members_).subspan(first_member_[call], first_member_[call + 1] - first_member_[call]);
  }

 private:
  std::size_t call_of(ClassId program_class, CommunicationId id, std::size_t c) const {
    return first_call_[id.index()] + static_cast<std::size_t>(numbers_[program_class.index()][c]);
  }
  template <class Do>
  void for_each(const Program& program, const Timeline& timeline, const Do& call) const {
    for (std::size_t r = 0; r < timeline.ranks.size(); ++r) {
      const ClassId program_class = timeline.ranks[r].program_class;
      const RankProgram& rank = program.classes[program_class.index()];
      for (std::size_t i = 0; i < rank.operations.size(); ++i) {
        const Operation& operation = rank.operations[i];
        for (std::uint32_t c = operation.first_communication;
             c < operation.first_communication + operation.communications; ++c) {
          call(call_of(program_class, rank.communications[c], c), Place{r, i});
        }
      }
    }
  }

  std::vector<std::vector<std::int32_t>> numbers_;  // by class: how many calls of the same came before
  std::vector<std::size_t> first_call_;             // by communication
  std::vector<std::size_t> first_member_;           // by call
  std::vector<Place> members_;
};

class Walk {
 public:
  Walk(const Program& program, const Timeline& timeline)
      : program_(program), timeline_(timeline), calls_(program, timeline), parts_(program.classes.size()) {
    for (const RankProgram& rank : program.classes) {
      before_.push_back(operations_before(rank));
    }
  }

  std::vector<CriticalPart> run() {
    Place place = last_place();
    double now = timeline_.ranks[place.rank].end[place.operation];
    while (true) {
      place = arrived_last(place);
      const double start = timeline_.ranks[place.rank].start[place.operation];
      account(place, now - std::min(now, start));
      now = std::min(now, start);
      const auto before = predecessor(place);
      if (!before) {
        account_host(place, now);
        break;
      }
      const double end = timeline_.ranks[before->rank].end[before->operation];
      account_host(place, now - std::min(now, end));
      now = std::min(now, end);
      place = *before;
    }
    return parts();
  }

 private:
  const RankProgram& program_of(std::size_t rank) const {
    return program_.classes[timeline_.ranks[rank].program_class.index()];
  }

  Place last_place() const {
    Place best{0, 0};
    for (std::size_t r = 0; r < timeline_.ranks.size(); ++r) {
      const std::vector<double>& end = timeline_.ranks[r].end;
      for (std::size_t i = 0; i < end.size(); ++i) {
        if (end[i] > timeline_.ranks[best.rank].end[best.operation]) {
          best = {r, i};
        }
      }
    }
    return best;
  }

  // For a communication that waited: the member that started it by arriving last.
  Place arrived_last(Place place) {
    const RankTimeline& rank = timeline_.ranks[place.rank];
    const Operation& operation = program_of(place.rank).operations[place.operation];
    if (operation.kind != OperationKind::kCommunication ||
        rank.moving[place.operation] - rank.start[place.operation] <= kSameInstant) {
      return place;
    }
    const RankProgram& program = program_of(place.rank);
    for (std::uint32_t c = operation.first_communication; c < operation.first_communication + operation.communications;
         ++c) {
      for (const Place& member : calls_.members(rank.program_class, program.communications[c], c)) {
        if (std::abs(timeline_.ranks[member.rank].start[member.operation] - rank.moving[place.operation]) <=
            kSameInstant) {
          return member;
        }
      }
    }
    return place;
  }

  // The operation of the same rank whose end let this one start: a wait, the stream's previous one, or the host wait
  // before its issue. The latest end wins.
  std::optional<Place> predecessor(Place place) const {
    const RankProgram& program = program_of(place.rank);
    const RankTimeline& rank = timeline_.ranks[place.rank];
    const double start = rank.start[place.operation];
    std::optional<Place> best;
    const auto consider = [&](std::size_t candidate) {
      const bool later = !best || rank.end[candidate] > rank.end[best->operation];
      if (rank.end[candidate] <= start + kSameInstant && later) {
        best = Place{place.rank, candidate};
      }
    };
    const Operation& operation = program.operations[place.operation];
    for (std::uint32_t w = 0; w < operation.waits; ++w) {
      consider(program.waits[operation.first_wait + w].index());
    }
    const Before& before = before_[timeline_.ranks[place.rank].program_class.index()][place.operation];
    if (before.on_stream != kNone) {
      consider(before.on_stream);
    }
    if (before.host_wait != kNone) {
      // What the host waited for, not the wait itself.
      if (const auto awaited = last_awaited(place.rank, before.host_wait)) {
        consider(*awaited);
      }
    }
    return best;
  }

  // The operation whose end ended a host wait: the last to end of those it names, or of those issued since the wait
  // before it.
  std::optional<std::size_t> last_awaited(std::size_t rank, std::size_t wait) const {
    const auto [known, is_new] = awaited_.try_emplace({rank, wait});
    if (is_new) {
      const RankProgram& program = program_of(rank);
      const std::vector<double>& end = timeline_.ranks[rank].end;
      const Operation& waiting = program.operations[wait];
      for (std::uint32_t w = 0; w < waiting.waits; ++w) {
        const std::size_t i = program.waits[waiting.first_wait + w].index();
        known->second = !known->second || end[i] > end[*known->second] ? i : *known->second;
      }
      if (waiting.waits > 0) {
        return known->second;
      }
      for (std::size_t i = wait; i-- > 0 && program.operations[i].kind != OperationKind::kHostWait;) {
        const bool is_later = !known->second || end[i] > end[*known->second];
        if (program.operations[i].kind != OperationKind::kHostWork && is_later) {
          known->second = i;
        }
      }
    }
    return known->second;
  }

  void account(Place place, double time) {
    account_name(place.rank, static_cast<std::size_t>(program_of(place.rank).operations[place.operation].name), time);
  }
  void account_host(Place place, double time) { account_name(place.rank, program_.names.size(), time); }
  // `name`: of the program's, or the number behind the last.
  void account_name(std::size_t rank, std::size_t name, double time) {
    if (time <= 0.0) {
      return;
    }
    std::vector<CriticalPart>& parts = parts_[timeline_.ranks[rank].program_class.index()];
    parts.resize(program_.names.size() + 1);
    parts[name].time += Seconds{time};
    ++parts[name].count;
  }
  // Longest first, equally long ones by class and name.
  std::vector<CriticalPart> parts() {
    std::vector<CriticalPart> out;
    for (std::size_t c = 0; c < parts_.size(); ++c) {
      for (std::size_t name = 0; name < parts_[c].size(); ++name) {
        if (CriticalPart& part = parts_[c][name]; part.count > 0) {
          part.rank_class = program_.class_names[c];
          part.operation = name < program_.names.size() ? program_.names[name] : "host issues work";
          out.push_back(std::move(part));
        }
      }
    }
    std::sort(out.begin(), out.end(), [](const CriticalPart& a, const CriticalPart& b) {
      return std::tie(b.time, a.rank_class, a.operation) < std::tie(a.time, b.rank_class, b.operation);
    });
    return out;
  }

  const Program& program_;
  const Timeline& timeline_;
  Calls calls_;
  std::vector<std::vector<Before>> before_;  // by program class and operation
  mutable std::map<std::pair<std::size_t, std::size_t>, std::optional<std::size_t>> awaited_;  // by rank and host wait
  std::vector<std::vector<CriticalPart>> parts_;  // by program class and name, where the path has been
};

}  // namespace

std::vector<CriticalPart> critical_path(const Program& program, const Timeline& timeline) {
  return Walk(program, timeline).run();
}

}  // namespace trainyard
