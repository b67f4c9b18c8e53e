#pragma once
// The grammar of a Chrome trace: one event per line, written as it comes.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sim/report/trace_file.hpp"

namespace trainyard {

using Nanoseconds = std::int64_t;

// Something that lasts, on a thread of a process.
struct TraceSlice {
  std::size_t process;
  std::size_t thread;
  Nanoseconds begin;
  Nanoseconds end;
};

// A JSON string literal.
std::string quoted_text(std::string_view text);
// Microseconds with three decimals, whatever the locale.
std::string trace_time(Nanoseconds time);

class TraceEvents {
 public:
  explicit TraceEvents(const std::filesystem::path& path);

  // kind "process_name" with key "name", and so on; the value is JSON.
  void metadata(std::string_view kind, std::size_t process, std::size_t thread, std::string_view key,
                std::string_view value);
  // `arguments` are JSON members without their braces.
  void slice(const TraceSlice& slice, std::string_view quoted_name, std::string_view category,
             std::string_view arguments);
  // The two ends of an arrow bind to the slices that enclose them in time: its first and its last instant.
  void arrow_tail(const TraceSlice& slice, std::int64_t id);
  void arrow_head(const TraceSlice& slice, std::int64_t id);
  // From `time` on a process's counter has these values: `arguments` are JSON members with numbers.
  void counter(std::size_t process, std::string_view name, Nanoseconds time, std::string_view arguments);
  void finish();

 private:
  void begin_event();

  TraceFile file_;
  std::string text_;
  bool first_ = true;
};

}  // namespace trainyard
