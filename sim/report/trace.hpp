#pragma once
// The timeline for people's eyes: Chrome trace JSON, which Perfetto and chrome://tracing open.
// Source: Trace Event Format (Google, 2016), sections "Duration", "Metadata" and "Flow events".
//
// Ranks are processes. Thread 0 is the host (what it issues, what it waits for), the threads after it are the streams.
// Slices of a thread follow one another; an arrow joins a send to its receive. Times are in microseconds with three
// decimals: nanoseconds, rounded so that what follows in time follows in the file. Each rank has a counter of its
// memory.
#include <cstddef>
#include <filesystem>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"
#include "sim/report/memory_timeline.hpp"

namespace trainyard {

enum class TraceRanks {
  kClasses,  // one rank of each pipeline stage: the first
  kAll       // every simulated rank
};

struct TraceSize {
  std::size_t ranks = 0;
  std::size_t slices = 0;
  std::size_t arrows = 0;
  std::size_t counters = 0;  // samples of memory
};

// `memories` of the ranks whose memory is to be shown. Compressed when the name ends in .gz. Written whole or not at
// all; never held in memory. Throws UserError.
TraceSize write_trace(const std::filesystem::path& path, const Program& program, const Timeline& timeline,
                      TraceRanks ranks, const std::vector<RankMemory>& memories = {});

}  // namespace trainyard
