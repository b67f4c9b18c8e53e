#include "sim/predict/timeline_bytes.hpp"

#include <cstring>
#include <vector>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

template <class T>
void put(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));  // NOLINT: plain numbers as they lie in memory
}
template <class T>
T take(const std::string& bytes, std::size_t& at) {
  T value;
  TY_ASSERT(at + sizeof(T) <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  at += sizeof(T);
  return value;
}

// All at once: columns are most of a timeline.
void put_column(std::string& bytes, const std::vector<double>& column) {
  put(bytes, column.size());
  bytes.append(reinterpret_cast<const char*>(column.data()), column.size() * sizeof(double));  // NOLINT: as above
}
std::vector<double> take_column(const std::string& bytes, std::size_t& at) {
  std::vector<double> column(take<std::size_t>(bytes, at));
  const std::size_t size = column.size() * sizeof(double);
  TY_ASSERT(at + size <= bytes.size());
  if (size > 0) {
    std::memcpy(column.data(), bytes.data() + at, size);
  }
  at += size;
  return column;
}

}  // namespace

std::string timeline_bytes(const Timeline& timeline) {
  std::string bytes;
  put(bytes, timeline.step.value);
  for (const std::int64_t number : {timeline.events, timeline.flows_simulated, timeline.flows_real,
                                    timeline.links_simulated, timeline.links_real}) {
    put(bytes, number);
  }
  put(bytes, timeline.ranks.size());
  for (const RankTimeline& rank : timeline.ranks) {
    put(bytes, rank.rank);
    put(bytes, rank.program_class);
    put(bytes, rank.multiplicity);
    for (const auto* column : {&rank.start, &rank.end, &rank.moving}) {
      put_column(bytes, *column);
    }
    put(bytes, rank.slowed.size());
    for (const auto& [operation, lost] : rank.slowed) {
      put(bytes, operation);
      put(bytes, lost);
    }
  }
  put(bytes, timeline.links.size());
  for (const LinkUse& link : timeline.links) {
    put(bytes, link.name.size());
    bytes += link.name;
    put(bytes, link.count);
    put(bytes, link.bytes.value);
    put(bytes, link.bandwidth.value);
  }
  return bytes;
}

Timeline timeline_from_bytes(const std::string& bytes) {
  std::size_t at = 0;
  Timeline timeline;
  timeline.step = {take<double>(bytes, at)};
  for (std::int64_t* number : {&timeline.events, &timeline.flows_simulated, &timeline.flows_real,
                               &timeline.links_simulated, &timeline.links_real}) {
    *number = take<std::int64_t>(bytes, at);
  }
  timeline.ranks.resize(take<std::size_t>(bytes, at));
  for (RankTimeline& rank : timeline.ranks) {
    rank.rank = take<RankId>(bytes, at);
    rank.program_class = take<ClassId>(bytes, at);
    rank.multiplicity = take<std::int64_t>(bytes, at);
    for (auto* column : {&rank.start, &rank.end, &rank.moving}) {
      *column = take_column(bytes, at);
    }
    rank.slowed.resize(take<std::size_t>(bytes, at));
    for (auto& [operation, lost] : rank.slowed) {
      operation = take<std::uint32_t>(bytes, at);
      lost = take<double>(bytes, at);
    }
  }
  timeline.links.resize(take<std::size_t>(bytes, at));
  for (LinkUse& link : timeline.links) {
    const auto size = take<std::size_t>(bytes, at);
    link.name = bytes.substr(at, size);
    at += size;
    link.count = take<std::int64_t>(bytes, at);
    link.bytes = {take<double>(bytes, at)};
    link.bandwidth = {take<double>(bytes, at)};
  }
  return timeline;
}

}  // namespace trainyard
