#include "sim/report/critical_path.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
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
  std::map<StreamName, std::size_t> on_stream;
  std::size_t host_wait = kNone;
  for (std::size_t i = 0; i < rank.operations.size(); ++i) {
    const Operation& operation = rank.operations[i];
    const auto found = on_stream.find(operation.stream);
    before[i] = {.on_stream = found == on_stream.end() ? kNone : found->second, .host_wait = host_wait};
    if (operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication) {
      on_stream[operation.stream] = i;
    } else if (operation.kind == OperationKind::kHostWait) {
      host_wait = i;
    }
  }
  return before;
}

class Walk {
 public:
  Walk(const Program& program, const Timeline& timeline) : program_(program), timeline_(timeline) {
    for (const RankProgram& rank : program.classes) {
      before_.push_back(operations_before(rank));
    }
    for (std::size_t r = 0; r < timeline.ranks.size(); ++r) {
      std::map<std::int32_t, std::int32_t> calls;
      const RankProgram& rank = program_of(r);
      call_numbers_.emplace_back(rank.communications.size());
      for (std::size_t i = 0; i < rank.operations.size(); ++i) {
        const Operation& operation = rank.operations[i];
        for (std::uint32_t c = operation.first_communication;
             c < operation.first_communication + operation.communications; ++c) {
          const std::int32_t id = rank.communications[c].value;
          call_numbers_[r][c] = calls[id]++;
          members_[{id, call_numbers_[r][c]}].push_back({r, i});
        }
      }
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
        account_name(place.rank, "host issues work", now);
        break;
      }
      const double end = timeline_.ranks[before->rank].end[before->operation];
      account_name(place.rank, "host issues work", now - std::min(now, end));
      now = std::min(now, end);
      place = *before;
    }
    std::vector<CriticalPart> parts;
    for (auto& [key, part] : parts_) {
      parts.push_back(std::move(part));
    }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const CriticalPart& a, const CriticalPart& b) { return b.time < a.time; });
    return parts;
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
      for (const Place& member : members_.at({program.communications[c].value, call_numbers_[place.rank][c]})) {
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

  // The operation whose end ended a host wait: the last to end of those issued since the wait before it.
  std::optional<std::size_t> last_awaited(std::size_t rank, std::size_t wait) const {
    const auto [known, is_new] = awaited_.try_emplace({rank, wait});
    if (is_new) {
      const RankProgram& program = program_of(rank);
      const std::vector<double>& end = timeline_.ranks[rank].end;
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
    const Operation& operation = program_of(place.rank).operations[place.operation];
    account_name(place.rank, program_.names[static_cast<std::size_t>(operation.name)], time);
  }
  void account_name(std::size_t rank, const std::string& name, double time) {
    if (time <= 0.0) {
      return;
    }
    const std::string& rank_class = program_.class_names[timeline_.ranks[rank].program_class.index()];
    CriticalPart& part = parts_[{rank_class, name}];
    part.rank_class = rank_class;
    part.operation = name;
    part.time += Seconds{time};
    ++part.count;
  }

  using CallKey = std::pair<std::int32_t, std::int32_t>;  // communication and how many calls came before

  const Program& program_;
  const Timeline& timeline_;
  std::vector<std::vector<Before>> before_;  // by program class and operation
  mutable std::map<std::pair<std::size_t, std::size_t>, std::optional<std::size_t>> awaited_;  // by rank and host wait
  std::vector<std::vector<std::int32_t>> call_numbers_;  // by rank, parallel to RankProgram::communications
  std::map<CallKey, std::vector<Place>> members_;
  std::map<std::pair<std::string, std::string>, CriticalPart> parts_;
};

}  // namespace

std::vector<CriticalPart> critical_path(const Program& program, const Timeline& timeline) {
  return Walk(program, timeline).run();
}

}  // namespace trainyard
