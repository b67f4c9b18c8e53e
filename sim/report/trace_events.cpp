#include "sim/report/trace_events.hpp"

#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

namespace trainyard {
namespace {

constexpr std::size_t kFlushAt = std::size_t{1} << 16U;

template <class... Values>
void append(std::string& text, fmt::format_string<Values...> format, Values&&... values) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Values>(values)...);
}

}  // namespace

std::string quoted_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string trace_time(Nanoseconds time) {
  return fmt::format("{}.{:03}", time / 1000, time % 1000);
}

TraceEvents::TraceEvents(const std::filesystem::path& path)
    : file_(path), text_("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[") {}

void TraceEvents::metadata(std::string_view kind, std::size_t process, std::size_t thread, std::string_view key,
                           std::string_view value) {
  begin_event();
  append(text_, R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"{}":{}}}}})", kind, process, thread, key, value);
}

void TraceEvents::slice(const TraceSlice& slice, std::string_view quoted_name, std::string_view category,
                        std::string_view arguments) {
  begin_event();
  append(text_, R"({{"ph":"X","name":{},"cat":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{{{}}}}})", quoted_name,
         category, slice.process, slice.thread, trace_time(slice.begin), trace_time(slice.end - slice.begin),
         arguments);
}

void TraceEvents::arrow_tail(const TraceSlice& slice, std::int64_t id) {
  begin_event();
  append(text_, R"({{"ph":"s","name":"message","cat":"p2p","id":{},"pid":{},"tid":{},"ts":{}}})", id, slice.process,
         slice.thread, trace_time(slice.begin));
}

void TraceEvents::arrow_head(const TraceSlice& slice, std::int64_t id) {
  begin_event();
  append(text_, R"({{"ph":"f","bp":"e","name":"message","cat":"p2p","id":{},"pid":{},"tid":{},"ts":{}}})", id,
         slice.process, slice.thread, trace_time(slice.end - 1));
}

void TraceEvents::counter(std::size_t process, std::string_view name, Nanoseconds time, std::string_view arguments) {
  begin_event();
  append(text_, R"({{"ph":"C","name":"{}","pid":{},"ts":{},"args":{{{}}}}})", name, process, trace_time(time),
         arguments);
}

void TraceEvents::finish() {
  text_ += "\n]}\n";
  file_.write(text_);
  file_.finish();
}

void TraceEvents::begin_event() {
  if (text_.size() >= kFlushAt) {
    file_.write(text_);
    text_.clear();
  }
  text_ += first_ ? "\n" : ",\n";
  first_ = false;
}

}  // namespace trainyard
