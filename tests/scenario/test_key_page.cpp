// The page of the scenario's keys says what the code accepts: the code is asked, by values that it must refuse, and
// answers with the keys and values that it takes instead.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/scenario/origins.hpp"
#include "sim/scenario/place.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_key_page {

namespace {

const std::string kHeading = "| key | takes | without it |\n|---|---|---|\n";

std::filesystem::path page_file() {
  return std::filesystem::path(TRAINYARD_SOURCE_DIR) / "sim" / "scenario" / "README.md";
}

// A job that reads keys of every kind: experts, stages, tensor parallelism.
Json job() {
  return parse_json(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 64, "layout": {"tp": 2, "pp": 2}})",
                    "job.json");
}

Json with(Json document, const std::string& pointer, const Json& value) {
  document[Json::json_pointer(pointer)] = value;
  return document;
}

std::vector<std::string> names_in(const std::string& allowed) {
  std::vector<std::string> names;
  for (std::size_t start = 0; start < allowed.size();) {
    const std::size_t comma = std::min(allowed.find(", ", start), allowed.size());
    names.push_back(allowed.substr(start, comma - start));
    start = comma + 2;
  }
  return names;
}

// What the code takes at every key, by pointer ("/variation/stragglers/0/node"), in its own order.
class Accepted {
 public:
  Accepted() { ask_members("", job()); }
  const std::vector<std::pair<std::string, std::string>>& keys() const { return keys_; }

 private:
  // Asks the object at a pointer for its keys by one that it cannot have.
  void ask_members(const std::string& pointer, const Json& document) {
    const auto fault = refusal(with(document, pointer + "/?", 1));
    REQUIRE(fault);
    REQUIRE(fault->pointer == pointer + "/?");
    for (const std::string& key : names_in(fault->allowed)) {
      // What is read before it must be there.
      const std::map<std::string, Json> read_before = {
          {"/variation/slow_nodes/slowdown", with(document, "/variation/slow_nodes/probability", 0.1)},
          {"/variation/stragglers/0/slowdown", with(document, "/variation/stragglers", {{{"node", 0}}})}};
      const auto found = read_before.find(pointer + "/" + key);
      ask(pointer + "/" + key, found == read_before.end() ? document : found->second);
    }
  }

  void ask(const std::string& pointer, const Json& document) {
    CAPTURE(pointer);
    const bool is_known =
        std::any_of(keys_.begin(), keys_.end(), [&](const auto& key) { return key.first == pointer; });
    if (is_known) {
      return;  // of several strategies
    }
    // Objects with pages of their own; and what is read together with the cluster.
    if (pointer == "/model" || pointer == "/cluster" || pointer == "/like") {
      keys_.emplace_back(pointer, pointer == "/like" ? "a name" : "a name, a file or an object");
      return;
    }
    const auto text = refusal(with(document, pointer, "?"));
    const auto object = refusal(with(document, pointer, Json{{"?", 1}}));
    REQUIRE(text);
    REQUIRE(object);
    if (text->problem.starts_with("the key would change nothing")) {
      return;  // of another mode
    }
    REQUIRE(text->pointer == pointer);
    if (object->pointer == pointer + "/?") {
      const bool names_objects = text->allowed.find('{') != std::string::npos;
      keys_.emplace_back(pointer, text->allowed == "{...}" ? "an object"
                                  : names_objects          ? text->allowed
                                                           : text->allowed + ", or an object");
      if (pointer != "/layout/device_map") {  // whose keys are layers
        ask_object(pointer, document);
      }
    } else if (const auto list = refusal(with(document, pointer, Json::array({Json{{"?", 1}}})));
               list && list->pointer == pointer + "/0/?") {
      keys_.emplace_back(pointer, "a list of objects");
      ask_members(pointer + "/0", with(document, pointer, Json::array({Json::object()})));
    } else {
      keys_.emplace_back(pointer, text->allowed);
    }
  }

  void ask_object(const std::string& pointer, const Json& document) {
    if (pointer == "/training/strategy") {
      for (const auto& [name, mode] : kSynchronisationNames.rows) {
        ask_members(pointer, with(document, pointer, Json{{"sync", std::string(name)}}));
      }
      for (const auto& [name, compressor] : kCompressorNames.rows) {
        ask_members(pointer, with(document, pointer, Json{{"sync", "all-reduce"}, {"compress", std::string(name)}}));
      }
      return;
    }
    if (pointer != "/training/data_parallel") {
      ask_members(pointer, document);
      return;
    }
    for (const auto& [name, strategy] : kDataParallelNames.rows) {
      ask_members(pointer, with(document, pointer, Json{{"strategy", std::string(name)}}));
    }
  }

  std::vector<std::pair<std::string, std::string>> keys_;
};

// Names of a catalogue are not repeated here.
std::string takes_text(const std::string& allowed) {
  const std::map<std::string, std::string> lists = {{join_names(gpu_names()), "a name of `list gpus`"},
                                                    {join_names(framework_names()), "a name of `list frameworks`"},
                                                    {"\"...\"", "text"},
                                                    {"[...]", "a list"}};
  const auto found = lists.find(allowed);
  return found == lists.end() ? allowed : found->second;
}

// By pointer, where a value comes from in jobs that do not state it.
class Unstated {
 public:
  Unstated() {
    std::vector<Json> jobs = {job(),
                              parse_json(R"({"model": "gpt2", "cluster": "dgx-1-v100", "gpus": 8})", "job.json"),
                              with(job(), "/training/recompute", "full"),
                              with(job(), "/training/offload/activations", 0.5),
                              with(job(), "/training/offload/optimizer", 0.5),
                              with(job(), "/variation/gpu_spread", 0.1),
                              with(job(), "/variation/kernel_jitter", 0.1),
                              with(job(), "/layout/vpp", 2),
                              with(job(), "/training/schedule", "zb-v"),
                              with(with(job(), "/layout/pp", 1), "/training/zero_stage", 3),
                              with(job(), "/training/precision", "fp16"),
                              with(job(), "/training/experts/capacity_factor", 1.25),
                              with(job(), "/input", Json::object()),
                              with(job(), "/input/storage", "nfs")};
    for (const auto& [name, strategy] : kDataParallelNames.rows) {
      jobs.push_back(with(job(), "/training/data_parallel", Json{{"strategy", std::string(name)}}));
    }
    for (const auto& [name, mode] : kSynchronisationNames.rows) {
      jobs.push_back(with(job(), "/training/strategy", std::string(name)));
    }
    for (const auto& [name, compressor] : kCompressorNames.rows) {
      jobs.push_back(with(job(), "/training/strategy", Json{{"sync", "all-reduce"}, {"compress", std::string(name)}}));
    }
    for (const Json& one : jobs) {
      for (const std::string& framework : framework_names()) {
        add(with(one, "/framework", framework));
      }
      add(one);
    }
  }

  std::string text(const std::string& pointer) const {
    const auto found = answers_.find(pointer);
    std::string out;
    for (const auto& [origin, answer] : found == answers_.end() ? Answers() : found->second) {
      out += (out.empty() ? "" : "; ") + answer;
    }
    return out;
  }

 private:
  using Answers = std::map<Origin, std::string>;

  void add(const Json& document) {
    std::vector<ValueOrigin> values;
    try {
      values = origins_of(read_scenario(document, "job.json"), document);
    } catch (const UserError&) {
      return;  // not every profile takes every layout
    }
    for (const ValueOrigin& value : values) {
      if (value.origin != Origin::kStated) {
        answers_[value.pointer].emplace(value.origin, answer(value));
      }
    }
  }

  static std::string answer(const ValueOrigin& value) {
    switch (value.origin) {
      case Origin::kCatalogue:
        return value.pointer == "/gpu" ? "the cluster's" : "the model's";
      case Origin::kProfile:
        return "the profile's";
      case Origin::kDefault:
        return fmt::format("`{}`", value.value.is_string() ? value.value.get<std::string>() : json_text(value.value));
      default:
        return value.why;
    }
  }

  std::map<std::string, Answers> answers_;
};

std::string shown(const std::string& pointer) {
  return std::regex_replace(dotted(pointer), std::regex(R"(\.0\.)"), "[].");
}

std::string table() {
  const Accepted accepted;
  const Unstated unstated;
  std::string out = kHeading;
  for (const auto& [pointer, allowed] : accepted.keys()) {
    out += fmt::format("| `{}` | {} | {} |\n", shown(pointer), takes_text(allowed), unstated.text(pointer));
  }
  return out;
}

// The page before its table, the table, and the page behind it.
struct Page {
  std::string before;
  std::string table;
  std::string behind;
};

Page read_page() {
  const std::string text = read_file(page_file());
  const std::size_t begin = text.find(kHeading);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = std::min(text.find("\n\n", begin), text.size() - 1) + 1;
  return {text.substr(0, begin), text.substr(begin, end - begin), text.substr(end)};
}

}  // namespace

TEST_CASE("the page's table of keys is what the code accepts") {
  const Page page = read_page();
  const std::string now = table();
  if (std::getenv("TRAINYARD_REGENERATE_KEYS") != nullptr) {
    write_file(page_file(), page.before + now + page.behind);
    MESSAGE("wrote ", page_file().string());
    return;
  }
  CHECK(std::count(now.begin(), now.end(), '\n') > 60);
  CHECK_MESSAGE(
      page.table == now,
      "sim/scenario/README.md and the code differ: TRAINYARD_REGENERATE_KEYS=1 test_scenario writes the page");
}

TEST_CASE("the page explains every key, and no key that there is not") {
  const Page page = read_page();
  const std::string prose = page.before + page.behind;
  const Accepted accepted;
  std::set<std::string> names;
  for (const auto& [pointer, allowed] : accepted.keys()) {
    const std::string name = pointer.substr(pointer.rfind('/') + 1);
    names.insert(name);
    CAPTURE(pointer);
    CHECK((prose.find("`" + name + "`") != std::string::npos || prose.find("\"" + name + "\"") != std::string::npos));
  }
  for (const auto& [name, strategy] : kDataParallelNames.rows) {
    names.insert(std::string(name));
  }
  std::istringstream lines(prose);
  const std::regex word("`([^`]*)`");
  std::size_t rows = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| `")) {
      const std::string cell = line.substr(0, line.find(" |", 2));
      for (auto found = std::sregex_iterator(cell.begin(), cell.end(), word); found != std::sregex_iterator();
           ++found) {
        CAPTURE(line);
        CHECK(names.count((*found)[1].str()) == 1);
        ++rows;
      }
    }
  }
  CHECK(rows > 40);
}

TEST_CASE("the page says which profiles can check collectives, and which versions of NCCL there are") {
  const Page page = read_page();
  const std::string prose = page.before + page.behind;
  const std::size_t row = prose.find("| `distributed_debug` |");
  REQUIRE(row != std::string::npos);
  const std::string line = prose.substr(row, prose.find('\n', row) - row);
  std::size_t able = 0;
  for (const std::string& name : framework_names()) {
    CAPTURE(name);
    const bool is_able = load_framework(name).host.collective_check > Seconds{};
    CHECK((line.find(name) != std::string::npos) == is_able);
    able += is_able ? 1 : 0;
  }
  CHECK(able > 0);
  const std::vector<std::string> versions = catalogue_names("sim/collectives/nccl");
  CHECK(prose.find("`nccl_version` is one of " + join_names(versions)) != std::string::npos);
}

TEST_CASE("the page's whole scenario is read, and names every key but the options of other strategies") {
  const std::string text = read_file(page_file());
  const std::string fence = "```jsonc\n";
  const std::size_t begin = text.find(fence);
  REQUIRE(begin != std::string::npos);
  const std::string shown_text =
      text.substr(begin, text.find("```", begin + fence.size()) - begin).substr(fence.size());
  const Json document = parse_json(std::regex_replace(shown_text, std::regex("//[^\n]*"), ""), "page.json");
  CHECK_NOTHROW(read_scenario(document, "page.json"));
  const Accepted accepted;
  for (const auto& [pointer, allowed] : accepted.keys()) {
    CAPTURE(pointer);
    const std::string name = pointer.substr(pointer.rfind('/') + 1);
    const bool is_option = pointer.starts_with("/training/data_parallel/") ||  // of another strategy
                           pointer.starts_with("/training/strategy/");         // or mode
    const bool is_named = shown_text.find("\"" + name + "\"") != std::string::npos;
    CHECK((is_named || is_option));
  }
  CHECK(document["training"]["data_parallel"].size() > 3);
}

}  // namespace test_key_page
