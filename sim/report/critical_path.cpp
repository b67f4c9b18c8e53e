#include "sim/report/critical_path.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "sim/engine/column_times.hpp"

namespace trainyard {
namespace {

constexpr double kSameInstant = 1e-9;  // seconds: predecessors are matched by their end

// Position in a timeline: an operation of a simulated rank.
struct PathPlace {
  std::size_t rank;
  std::size_t operation;
};

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// Of an operation: the one before it on its stream, and what comes before it altogether.
struct Before {
  std::size_t on_stream = kNone;
  std::size_t host_wait = kNone;
  std::size_t communications = 0;  // operations that communicate
};

std::vector<Before> operations_before(const RankProgram& rank) {
  std::vector<Before> before(rank.operations.size());
  std::array<std::size_t, kStreams> on_stream;
  on_stream.fill(kNone);
  std::size_t host_wait = kNone;
  std::size_t communications = 0;
  for (std::size_t i = 0; i < rank.operations.size(); ++i) {
    const Operation& operation = rank.operations[i];
    std::size_t& last = on_stream[static_cast<std::size_t>(operation.stream)];
    before[i] = {.on_stream = last, .host_wait = host_wait, .communications = communications};
    communications += operation.kind == OperationKind::kCommunication ? 1 : 0;
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
  Calls(const Program& program, const Timeline& timeline)
      : program_(program), ranks_of_(program.classes.size()), classes_of_(program.communications.size()) {
    for (std::size_t r = 0; r < timeline.ranks.size(); ++r) {
      ranks_of_[timeline.ranks[r].program_class.index()].push_back(r);
    }
    std::vector<std::uint32_t> calls(program.communications.size(), 0);
    for (std::size_t c = 0; c < program.classes.size(); ++c) {
      std::vector<Call>& of_class = calls_.emplace_back();
      std::vector<std::uint32_t>& numbers = numbers_.emplace_back();
      const RankProgram& one = program.classes[c];
      for (std::size_t i = 0; i < one.operations.size(); ++i) {
        const Operation& operation = one.operations[i];
        for (std::uint32_t k = operation.first_communication;
             k < operation.first_communication + operation.communications; ++k) {
          of_class.push_back({one.communications[k], calls[one.communications[k].index()]++, i});
        }
      }
      // Operations name their communications in any order.
      numbers.resize(one.communications.size());
      std::size_t next = 0;
      for (const Operation& operation : one.operations) {
        for (std::uint32_t k = 0; k < operation.communications; ++k) {
          numbers[operation.first_communication + k] = of_class[next++].number;
        }
      }
      for (const CommunicationId id : one.communications) {
        if (std::exchange(calls[id.index()], 0) > 0) {
          classes_of_[id.index()].push_back(c);
        }
      }
      std::sort(of_class.begin(), of_class.end());
    }
  }

  // Of the k-th communication of a class, in the order of the ranks.
  std::vector<PathPlace> members(ClassId program_class, std::uint32_t k) const {
    const CommunicationId id = program_.classes[program_class.index()].communications[k];
    const std::uint32_t number = numbers_[program_class.index()][k];
    std::vector<PathPlace> out;
    for (const std::size_t c : classes_of_[id.index()]) {
      const auto first = std::lower_bound(calls_[c].begin(), calls_[c].end(), Call{id, number, 0});
      if (first != calls_[c].end() && first->id == id && first->number == number) {
        for (const std::size_t rank : ranks_of_[c]) {
          out.push_back({rank, first->operation});
        }
      }
    }
    if (classes_of_[id.index()].size() > 1) {
      std::sort(out.begin(), out.end(), [](const PathPlace& a, const PathPlace& b) { return a.rank < b.rank; });
    }
    return out;
  }

 private:
  struct Call {
    CommunicationId id;
    std::uint32_t number = 0;  // of the calls of the same
    std::size_t operation = 0;
    bool operator<(const Call& other) const {
      return std::tie(id, number, operation) < std::tie(other.id, other.number, other.operation);
    }
  };
  const Program& program_;
  std::vector<std::vector<Call>> calls_;              // by class
  std::vector<std::vector<std::uint32_t>> numbers_;   // by class and place among its communications
  std::vector<std::vector<std::size_t>> ranks_of_;    // by class
  std::vector<std::vector<std::size_t>> classes_of_;  // by communication
};

class Walk {
 public:
  Walk(const Program& program, const Timeline& timeline)
      : program_(program), timeline_(timeline), calls_(program, timeline), parts_(program.classes.size()) {
    for (const RankProgram& rank : program.classes) {
      before_.push_back(operations_before(rank));
      starts_.emplace_back(rank);
    }
  }

  std::vector<CriticalPart> run() {
    PathPlace place = last_place();
    double now = timeline_.ranks[place.rank].end[place.operation];
    while (true) {
      place = arrived_last(place);
      const double start = start_of(place);
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

  double start_of(PathPlace place) const {
    const RankTimeline& rank = timeline_.ranks[place.rank];
    return starts_[rank.program_class.index()].of(rank, place.operation);
  }

  PathPlace last_place() const {
    PathPlace best{0, 0};
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
  PathPlace arrived_last(PathPlace place) {
    const RankTimeline& rank = timeline_.ranks[place.rank];
    const Operation& operation = program_of(place.rank).operations[place.operation];
    if (operation.kind != OperationKind::kCommunication) {
      return place;
    }
    const double moving = rank.moving[before_[rank.program_class.index()][place.operation].communications];
    if (moving - start_of(place) <= kSameInstant) {
      return place;
    }
    for (std::uint32_t c = operation.first_communication; c < operation.first_communication + operation.communications;
         ++c) {
      for (const PathPlace& member : calls_.members(rank.program_class, c)) {
        if (std::abs(start_of(member) - moving) <= kSameInstant) {
          return member;
        }
      }
    }
    return place;
  }

  // The operation of the same rank whose end let this one start: a wait, the stream's previous one, or the host wait
  // before its issue. The latest end wins.
  std::optional<PathPlace> predecessor(PathPlace place) const {
    const RankProgram& program = program_of(place.rank);
    const RankTimeline& rank = timeline_.ranks[place.rank];
    const double start = start_of(place);
    std::optional<PathPlace> best;
    const auto consider = [&](std::size_t candidate) {
      const bool later = !best || rank.end[candidate] > rank.end[best->operation];
      if (rank.end[candidate] <= start + kSameInstant && later) {
        best = PathPlace{place.rank, candidate};
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
        if (program.operations[i].kind != OperationKind::kHostWork &&
            is_awaited_with_device(program.operations[i].stream) && is_later) {
          known->second = i;
        }
      }
    }
    return known->second;
  }

  void account(PathPlace place, double time) {
    account_name(place.rank, static_cast<std::size_t>(program_of(place.rank).operations[place.operation].name), time);
  }
  void account_host(PathPlace place, double time) { account_name(place.rank, program_.names.size(), time); }
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
  std::vector<StartTimes> starts_;           // by program class
  mutable std::map<std::pair<std::size_t, std::size_t>, std::optional<std::size_t>> awaited_;  // by rank and host wait
  std::vector<std::vector<CriticalPart>> parts_;  // by program class and name, where the path has been
};

}  // namespace

std::vector<CriticalPart> critical_path(const Program& program, const Timeline& timeline) {
  return Walk(program, timeline).run();
}

}  // namespace trainyard
