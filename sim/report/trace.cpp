#include "sim/report/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "sim/engine/column_times.hpp"
#include "sim/report/trace_events.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kHostThread = 0;

Nanoseconds nanoseconds(double seconds) {
  return std::llround(seconds * 1e9);
}
// The timelines to show: all, or of each program class the one with the lowest rank.
std::vector<const RankTimeline*> choose_ranks(const Timeline& timeline, TraceRanks ranks) {
  std::vector<const RankTimeline*> chosen;
  for (const RankTimeline& rank : timeline.ranks) {
    chosen.push_back(&rank);
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const RankTimeline* a, const RankTimeline* b) { return a->rank < b->rank; });
  if (ranks == TraceRanks::kClasses) {
    std::vector<ClassId> seen;
    std::erase_if(chosen, [&](const RankTimeline* rank) {
      const bool again = std::find(seen.begin(), seen.end(), rank->program_class) != seen.end();
      seen.push_back(rank->program_class);
      return again;
    });
  }
  return chosen;
}

class TraceWriter {
 public:
  TraceWriter(const std::filesystem::path& path, const Program& program, std::vector<const RankTimeline*> ranks,
              const std::vector<RankMemory>& memories)
      : program_(program), ranks_(std::move(ranks)), memories_(memories), out_(path) {
    for (const std::string& name : program.names) {
      names_.push_back(quoted_text(name));
      issue_names_.push_back(quoted_text("issue " + name));
    }
    size_.ranks = ranks_.size();
  }

  TraceSize run() {
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      name_process(i);
      write_host(*ranks_[i]);
      write_streams(i);
      write_memory(*ranks_[i]);
    }
    out_.finish();
    return size_;
  }

 private:
  const RankProgram& program_of(const RankTimeline& rank) const { return program_.classes[rank.program_class.index()]; }
  static std::size_t process_of(const RankTimeline& rank) { return rank.rank.index(); }

  void name_process(std::size_t i) {
    const RankTimeline& rank = *ranks_[i];
    const std::string stands_for =
        rank.multiplicity > 1 ? fmt::format(", stands for {} ranks", rank.multiplicity) : std::string();
    const std::string name =
        fmt::format("rank {} ({}{})", rank.rank.value, program_.class_names[rank.program_class.index()], stands_for);
    const std::size_t process = process_of(rank);
    out_.metadata("process_name", process, kHostThread, "name", quoted_text(name));
    out_.metadata("process_sort_index", process, kHostThread, "sort_index", std::to_string(i));
    name_thread(process, kHostThread, "host");
    std::vector<char> used(kStreams, 0);
    for (const Operation& operation : program_of(rank).operations) {
      if (is_on_device(operation)) {
        used[static_cast<std::size_t>(operation.stream)] = 1;
      }
    }
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (used[s] != 0) {
        name_thread(process, s + 1, fmt::format("{} stream", kStreamNames.rows[s].first));
      }
    }
  }
  void name_thread(std::size_t process, std::size_t thread, std::string_view name) {
    out_.metadata("thread_name", process, thread, "name", quoted_text(name));
    out_.metadata("thread_sort_index", process, thread, "sort_index", std::to_string(thread));
  }

  static bool is_on_device(const Operation& operation) {
    return operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication;
  }

  // What the host issues, works at and waits for. What takes it no time at all is left out: it would not be seen.
  void write_host(const RankTimeline& rank) {
    const RankProgram& program = program_of(rank);
    const std::vector<double> start = start_times(program, rank);
    const std::vector<double> issued = issue_times(program, rank);
    Nanoseconds before = 0;
    for (std::size_t i = 0; i < program.operations.size(); ++i) {
      const Operation& operation = program.operations[i];
      const bool waits = operation.kind == OperationKind::kHostWait;
      const double begun = waits ? start[i] : issued[i] - operation.run.host.value;
      const Nanoseconds begin = std::max(before, nanoseconds(begun));
      const Nanoseconds end = std::max(begin, nanoseconds(waits ? rank.end[i] : issued[i]));
      if (end > begin) {
        const auto name = static_cast<std::size_t>(operation.name);
        out_.slice({process_of(rank), kHostThread, begin, end},
                   is_on_device(operation) ? issue_names_[name] : names_[name], waits ? "host_wait" : "host",
                   pass_arguments(operation));
        ++size_.slices;
      }
      before = end;
    }
  }

  void write_streams(std::size_t shown) {
    const RankTimeline& rank = *ranks_[shown];
    const RankProgram& program = program_of(rank);
    const std::vector<double> start = start_times(program, rank);
    std::map<std::int32_t, std::int64_t> calls;  // by communication: how many came before
    auto moving = rank.moving.begin();
    for (std::size_t i = 0; i < program.operations.size(); ++i) {
      const Operation& operation = program.operations[i];
      if (!is_on_device(operation)) {
        continue;
      }
      const TraceSlice slice{process_of(rank), static_cast<std::size_t>(operation.stream) + 1, nanoseconds(start[i]),
                             nanoseconds(rank.end[i])};
      out_.slice(slice, names_[static_cast<std::size_t>(operation.name)], kCategoryNames.name_of(operation.category),
                 operation.kind == OperationKind::kKernels
                     ? kernel_arguments(operation)
                     : communication_arguments(program, operation, nanoseconds(*moving++) - nanoseconds(start[i])));
      ++size_.slices;
      for (std::uint32_t c = 0; c < operation.communications; ++c) {
        const CommunicationId id = program.communications[operation.first_communication + c];
        write_arrow(shown, id, calls[id.value]++, slice);
      }
    }
  }

  // A counter track, one series for every use of memory that the rank ever has, in GiB.
  void write_memory(const RankTimeline& rank) {
    const auto found = std::find_if(memories_.begin(), memories_.end(),
                                    [&rank](const RankMemory& memory) { return memory.rank == rank.rank; });
    if (found == memories_.end()) {
      return;
    }
    for (const MemorySample& sample : found->samples) {
      std::string values;
      for (const auto& [name, use] : kMemoryUseNames.rows) {
        if (found->peak.uses[use] > Bytes{} || sample.uses[use] > Bytes{}) {
          values += fmt::format("{}{}:{:.3f}", values.empty() ? "" : ",", quoted_text(name), sample.uses[use] / 1_GiB);
        }
      }
      out_.counter(process_of(rank), "memory (GiB)", nanoseconds(sample.time.value), values);
      ++size_.counters;
    }
  }

  static std::string pass_arguments(const Operation& operation) {
    std::string out;
    if (operation.micro_batch >= 0) {
      out += fmt::format("\"micro_batch\":{}", operation.micro_batch);
    }
    if (operation.chunk >= 0) {
      out += fmt::format("{}\"chunk\":{}", out.empty() ? "" : ",", operation.chunk);
    }
    return out;
  }
  static std::string kernel_arguments(const Operation& operation) {
    const std::string pass = pass_arguments(operation);
    return fmt::format("{}{}\"kernels\":{}", pass, pass.empty() ? "" : ",", operation.run.kernels);
  }
  std::string communication_arguments(const RankProgram& program, const Operation& operation,
                                      Nanoseconds waited) const {
    std::string ops;
    std::string groups;
    double bytes = 0.0;
    std::size_t members = 0;
    for (std::uint32_t c = 0; c < operation.communications; ++c) {
      const Communication& communication =
          program_.communications[program.communications[operation.first_communication + c].index()];
      ops += fmt::format("{}{}", c == 0 ? "" : ", ", kCollectiveOpNames.name_of(communication.op));
      groups += fmt::format("{}{}", c == 0 ? "" : ", ", communication.name);
      bytes += communication.size.value;
      members = std::max(members, communication.groups.front().size());
    }
    const std::string pass = pass_arguments(operation);
    return fmt::format(R"({}{}"op":{},"group":{},"ranks":{},"bytes":{:.0f},"waited_us":{})", pass,
                       pass.empty() ? "" : ",", quoted_text(ops), quoted_text(groups), members, bytes,
                       trace_time(std::max<Nanoseconds>(0, waited)));
  }

  // The shown rank that `rank` is or is represented by; nothing when that cannot be told.
  std::optional<std::size_t> shown_for(RankId rank) const {
    std::optional<std::size_t> only;
    std::size_t alike = 0;
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      if (ranks_[i]->rank == rank) {
        return i;
      }
      if (ranks_[i]->program_class == program_.class_of[rank.index()]) {
        only = i;
        ++alike;
      }
    }
    return alike == 1 ? only : std::nullopt;
  }

  // Both ends of a message, as shown ranks; nothing when the rank takes no part or the other end is not shown.
  std::optional<std::pair<std::size_t, std::size_t>> ends_of(std::size_t shown, CommunicationId id) const {
    const Communication& communication = program_.communications[id.index()];
    if (communication.op != CollectiveOp::kSendRecv) {
      return std::nullopt;
    }
    const RankId self = ranks_[shown]->rank;
    for (const std::vector<RankId>& pair : communication.groups) {
      if (pair.front() != self && pair.back() != self) {
        continue;
      }
      const auto from = shown_for(pair.front());
      const auto to = shown_for(pair.back());
      if (from && to && *from != *to) {
        return std::pair{*from, *to};
      }
      return std::nullopt;
    }
    return std::nullopt;
  }

  // The n-th send of a communication meets the n-th receive, so both ends find the same number for it. An arrow binds
  // to a slice by time alone, so an empty one has none.
  void write_arrow(std::size_t shown, CommunicationId id, std::int64_t call, const TraceSlice& slice) {
    auto [entry, is_new] = ends_.try_emplace({shown, id.value});
    if (is_new) {
      entry->second = ends_of(shown, id);
    }
    if (!entry->second || slice.end == slice.begin) {
      return;
    }
    const auto [from, to] = *entry->second;
    const auto [arrow, unseen] =
        arrows_.try_emplace({id.value, from, to, call}, static_cast<std::int64_t>(arrows_.size()) + 1);
    if (from == shown) {
      out_.arrow_tail(slice, arrow->second);
    } else {
      out_.arrow_head(slice, arrow->second);
    }
    size_.arrows += unseen ? 0 : 1;
  }

  const Program& program_;
  std::vector<const RankTimeline*> ranks_;
  const std::vector<RankMemory>& memories_;
  TraceEvents out_;
  std::vector<std::string> names_;  // as JSON
  std::vector<std::string> issue_names_;
  std::map<std::pair<std::size_t, std::int32_t>, std::optional<std::pair<std::size_t, std::size_t>>> ends_;
  // By communication, both ends and call: the arrow's number.
  std::map<std::tuple<std::int32_t, std::size_t, std::size_t, std::int64_t>, std::int64_t> arrows_;
  TraceSize size_;
};

}  // namespace

TraceSize write_trace(const std::filesystem::path& path, const Program& program, const Timeline& timeline,
                      TraceRanks ranks, const std::vector<RankMemory>& memories) {
  return TraceWriter(path, program, choose_ranks(timeline, ranks), memories).run();
}

}  // namespace trainyard
