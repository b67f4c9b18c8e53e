#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/report/trace.hpp"
#include "tests/report/hand_made.hpp"

using namespace trainyard;

namespace test_trace {

namespace fs = std::filesystem;

namespace {

struct ScratchFolder {
  fs::path path = fs::temp_directory_path() / "trainyard_test_trace";
  ScratchFolder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~ScratchFolder() { fs::remove_all(path); }
};

std::string unzipped(const fs::path& path) {
  std::string out;
  std::vector<char> buffer(1 << 16);
  const gzFile file = gzopen(path.c_str(), "rb");
  for (int read = 0; (read = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    out.append(buffer.data(), static_cast<std::size_t>(read));
  }
  gzclose(file);
  return out;
}

using Thread = std::pair<int, int>;

nlohmann::json events_of(const HandMade& made) {
  const ScratchFolder folder;
  write_trace(folder.path / "t.json", made.program, made.timeline, TraceRanks::kAll);
  return nlohmann::json::parse(read_file(folder.path / "t.json")).at("traceEvents");
}

std::vector<nlohmann::json> of_phase(const nlohmann::json& events, const std::string& phase) {
  std::vector<nlohmann::json> out;
  std::copy_if(events.begin(), events.end(), std::back_inserter(out),
               [&](const nlohmann::json& event) { return event.at("ph") == phase; });
  return out;
}

// The name of the slice that an instant of a thread falls into; a slice does not hold its own end.
std::string enclosing(const nlohmann::json& events, const nlohmann::json& instant) {
  for (const nlohmann::json& slice : of_phase(events, "X")) {
    const double begin = slice.at("ts");
    const double end = begin + slice.at("dur").get<double>();
    const double time = instant.at("ts");
    if (slice.at("pid") == instant.at("pid") && slice.at("tid") == instant.at("tid") && begin <= time && time < end) {
      return slice.at("name");
    }
  }
  return "none";
}

}  // namespace

TEST_CASE("ranks are processes and streams are threads, in order") {
  const nlohmann::json events = events_of(sender_and_receiver());
  std::map<std::pair<int, std::string>, std::string> names;
  for (const nlohmann::json& event : of_phase(events, "M")) {
    if (event.at("name") == "process_name" || event.at("name") == "thread_name") {
      names[{event.at("pid"), event.at("name").get<std::string>() + std::to_string(event.at("tid").get<int>())}] =
          event.at("args").at("name");
    }
  }
  CHECK(names.at({0, "process_name0"}) == "rank 0 (stage 0)");
  CHECK(names.at({1, "process_name0"}) == "rank 1 (stage 1)");
  CHECK(names.at({0, "thread_name0"}) == "host");
  CHECK(names.at({0, "thread_name1"}) == "compute stream");
  CHECK(names.at({0, "thread_name3"}) == "pp stream");
  CHECK(names.count({0, "thread_name2"}) == 0);  // no tensor-parallel stream is used
}

TEST_CASE("slices carry time in microseconds and what they are") {
  // "after" runs from 3 s to 5 s; the receive starts at 1 s, waits until 2 s and ends at 3 s.
  const nlohmann::json events = events_of(sender_and_receiver());
  std::map<std::string, nlohmann::json> slices;
  for (const nlohmann::json& event : of_phase(events, "X")) {
    slices[event.at("name")] = event;
  }
  CHECK(slices.at("after").at("ts").get<double>() == doctest::Approx(3e6));
  CHECK(slices.at("after").at("dur").get<double>() == doctest::Approx(2e6));
  CHECK(slices.at("after").at("cat") == "compute");
  CHECK(slices.at("after").at("args").at("micro_batch") == 7);
  CHECK(slices.at("after").at("args").at("chunk") == 0);
  CHECK(slices.at("after").at("args").at("kernels") == 3);
  const nlohmann::json& arguments = slices.at("receive").at("args");
  CHECK(arguments.at("op") == "sendrecv");
  CHECK(arguments.at("bytes") == 1000);
  CHECK(arguments.at("ranks") == 2);
  CHECK(arguments.at("group") == "activation from stage 0 to 1");
  CHECK(arguments.at("waited_us").get<double>() == doctest::Approx(1e6));
}

TEST_CASE("an arrow joins the send to the receive and binds to their slices") {
  const nlohmann::json events = events_of(sender_and_receiver());
  const auto tails = of_phase(events, "s");
  const auto heads = of_phase(events, "f");
  REQUIRE(tails.size() == 1);
  REQUIRE(heads.size() == 1);
  CHECK(tails[0].at("id") == heads[0].at("id"));
  CHECK(heads[0].at("bp") == "e");
  CHECK(enclosing(events, tails[0]) == "send");
  CHECK(enclosing(events, heads[0]) == "receive");
  CHECK(tails[0].at("pid") == 0);
  CHECK(heads[0].at("pid") == 1);
}

TEST_CASE("slices of a thread follow one another, host work and empty ones included") {
  HandMade made = sender_and_receiver();
  // The host of rank 0 works 0.1 us, issues for 0.3 us each, then waits for the device until 3 s; an empty kernel
  // follows.
  RankProgram& program = made.program.classes[0];
  for (Operation& operation : program.operations) {
    operation.run.host = {0.3e-6};
  }
  program.operations.push_back({.kind = OperationKind::kHostWait, .category = Category::kHost, .name = 2});
  program.operations.push_back(kernels_operation(1, 0.0));
  RankTimeline& rank = made.timeline.ranks[0];
  rank.start = {0.0, 2.0, 0.6e-6, 3.0};
  rank.moving = {2.0};
  rank.end = {2.0, 3.0, 3.0, 3.0};
  const nlohmann::json events = events_of(made);
  std::map<Thread, std::vector<std::pair<long long, long long>>> threads;
  std::set<std::string> host_slices;
  for (const nlohmann::json& event : of_phase(events, "X")) {
    const auto begin = std::llround(event.at("ts").get<double>() * 1e3);
    const auto duration = std::llround(event.at("dur").get<double>() * 1e3);
    CHECK(duration >= 0);
    threads[{event.at("pid"), event.at("tid")}].emplace_back(begin, begin + duration);
    if (event.at("tid") == 0) {
      host_slices.insert(event.at("name"));
    }
  }
  for (auto& [thread, slices] : threads) {
    for (std::size_t i = 1; i < slices.size(); ++i) {
      CHECK(slices[i - 1].second <= slices[i].first);
    }
  }
  CHECK(host_slices == std::set<std::string>{"issue long", "issue send", "after"});
  CHECK(threads.at({0, 1}).back() == std::pair<long long, long long>{3'000'000'000, 3'000'000'000});
}

TEST_CASE("one rank of each class is shown unless all are asked for") {
  HandMade made = sender_and_receiver();
  RankTimeline twin = made.timeline.ranks[0];
  twin.rank = RankId::from(2);
  twin.multiplicity = 4;
  made.timeline.ranks.push_back(twin);
  made.program.class_of.push_back(ClassId::from(0));
  const ScratchFolder folder;
  CHECK(write_trace(folder.path / "t.json", made.program, made.timeline, TraceRanks::kClasses).ranks == 2);
  CHECK(write_trace(folder.path / "t.json", made.program, made.timeline, TraceRanks::kAll).ranks == 3);
  CHECK(read_file(folder.path / "t.json").find("rank 2 (stage 0, stands for 4 ranks)") != std::string::npos);
}

TEST_CASE("equal timelines are equal bytes, compressed or not") {
  const ScratchFolder folder;
  const HandMade made = sender_and_receiver();
  for (const char* name : {"a.json", "a.json.gz", "b.json.gz"}) {
    write_trace(folder.path / name, made.program, made.timeline, TraceRanks::kAll);
  }
  const std::string zipped = read_file(folder.path / "a.json.gz");
  CHECK(zipped == read_file(folder.path / "b.json.gz"));
  // RFC 1952: magic 1f 8b, deflate, no flags (no file name), modification time zero.
  CHECK(zipped.substr(0, 8) == std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00", 8));
  CHECK(unzipped(folder.path / "a.json.gz") == read_file(folder.path / "a.json"));
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 3);
}

TEST_CASE("a trace that cannot be written is the user's to mend and leaves nothing") {
  const ScratchFolder folder;
  const HandMade made = sender_and_receiver();
  const fs::path path = folder.path / "none" / "t.json.gz";
  CHECK_THROWS_AS(write_trace(path, made.program, made.timeline, TraceRanks::kAll), UserError);
  CHECK_THROWS_AS(write_trace(folder.path, made.program, made.timeline, TraceRanks::kAll), UserError);
  CHECK(fs::is_empty(folder.path));
}

TEST_CASE("the memory of a shown rank is a counter with one series for every use that it has") {
  constexpr double kGib = 1073741824.0;
  const ScratchFolder folder;
  const HandMade made = sender_and_receiver();
  RankMemory memory{.rank = RankId::from(0)};
  for (const double activations : {0.0, 2.0, 0.0}) {
    MemorySample& sample = memory.samples.emplace_back();
    sample.time = {static_cast<double>(memory.samples.size()) - 1.0};
    sample.uses[MemoryUse::kParameters] = {kGib};
    sample.uses[MemoryUse::kActivations] = {activations * kGib};
  }
  memory.peak.uses = memory.samples[1].uses;
  const TraceSize size = write_trace(folder.path / "t.json", made.program, made.timeline, TraceRanks::kAll, {memory});
  CHECK(size.counters == 3);
  const auto counters = of_phase(nlohmann::json::parse(read_file(folder.path / "t.json")).at("traceEvents"), "C");
  REQUIRE(counters.size() == 3);
  CHECK(counters[1].at("pid") == 0);
  CHECK(counters[1].at("ts") == 1e6);  // one second, in microseconds
  CHECK(counters[1].at("args") == nlohmann::json{{"parameters", 1.0}, {"activations", 2.0}});
  CHECK(counters[2].at("args").at("activations") == 0.0);
}

}  // namespace test_trace
