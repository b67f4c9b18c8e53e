#include <doctest/doctest.h>

#include <string>

#include "sim/base/json_reader.hpp"

using namespace trainyard;

namespace test_json_reader {

namespace {

template <class Action>
Fault fault_of(Action action) {
  try {
    action();
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("no error was raised");
  return {};
}

}  // namespace

TEST_CASE("an unknown key names the file, the pointer and the nearest key") {
  const Json document = parse_json(R"({"layout": {"tpp": 8}})", "a.json");
  const Fault fault = fault_of([&] { JsonReader(document, "a.json").at("layout").expect_keys({"tp", "pp"}); });
  CHECK(fault.file == "a.json");
  CHECK(fault.pointer == "/layout/tpp");
  CHECK(fault.nearest == "tp");
}

TEST_CASE("truncated, duplicate, deep and non-UTF-8 JSON is refused with its place") {
  CHECK(fault_of([] { parse_json("{\"a\": 1,\n \"b\"", "t.json"); }).file.starts_with("t.json:2:"));
  CHECK(fault_of([] { parse_json(R"({"a":1,"a":2})", "t.json"); }).problem == "duplicate key");
  CHECK(fault_of([] { parse_json("{\"a\": \"\xff\"}", "t.json"); }).problem == "not valid JSON");
  CHECK(fault_of([] { parse_json(std::string(100, '['), "t.json"); }).problem.starts_with("nested deeper"));
  CHECK(fault_of([] { parse_json("", "t.json"); }).problem == "not valid JSON");
}

TEST_CASE("a number out of range is told from what is no number") {
  const Json document = parse_json(R"({"low": -1, "text": "1"})", "n.json");
  const JsonReader json(document, "n.json");
  CHECK(fault_of([&] { json.at("low").number(0.0, 1.0); }).problem == "the number is out of range");
  CHECK(fault_of([&] { json.at("text").number(0.0, 1.0); }).problem == "expected a number");
}

TEST_CASE("whole numbers must be whole, finite and in range") {
  const Json document = parse_json(R"({"a": 8.5, "b": 1e30, "c": -1, "d": 8.0, "e": "8"})", "n.json");
  const JsonReader json(document, "n.json");
  CHECK(fault_of([&] { json.at("a").integer(1, 100); }).pointer == "/a");
  CHECK(fault_of([&] { json.at("b").integer(1, 100); }).allowed == "1 to 100");
  CHECK(fault_of([&] { json.at("c").integer(1, 100); }).found == "-1");
  CHECK(json.at("d").integer(1, 100) == 8);
  CHECK(fault_of([&] { json.at("e").integer(1, 100); }).found == "\"8\"");
  CHECK(fault_of([&] { json.at("f"); }).problem == "missing key");
}

TEST_CASE("a quantity without its unit names the units") {
  const Json document = parse_json(R"({"bw": 450})", "q.json");
  const Fault fault = fault_of([&] { JsonReader(document, "q.json").at("bw").bytes_per_second(); });
  CHECK(fault.allowed.find("GB/s") != std::string::npos);
}

TEST_CASE("rates divide: zero, denormal, infinite and absurd ones are refused where they stand") {
  const auto refused = [](const std::string& text, auto read) {
    const Json document = {{"x", text}};
    try {
      read(JsonReader(document, "q.json").at("x"));
    } catch (const UserError& error) {
      return error.fault().pointer == "/x" && !error.fault().allowed.empty();
    }
    return false;
  };
  const auto rate = [](const JsonReader& json) { json.bytes_per_second(); };
  for (const char* text : {"0 GB/s", "0.0 Tb/s", "1e-320 B/s", "1e-300 GB/s", "1e308 TB/s", "1e30 B/s", "inf GB/s",
                           "nan GB/s", "-1 GB/s"}) {
    CAPTURE(text);
    CHECK(refused(text, rate));
  }
  CHECK_FALSE(refused("1 B/s", rate));
  CHECK_FALSE(refused("450 GB/s", rate));
  CHECK(refused("0 TFLOP/s", [](const JsonReader& json) { json.flops_per_second(); }));
  CHECK(refused("0 MHz", [](const JsonReader& json) { json.hertz(); }));
  CHECK(refused("1e300 h", [](const JsonReader& json) { json.seconds(); }));
  CHECK_FALSE(refused("0 us", [](const JsonReader& json) { json.seconds(); }));
  CHECK(refused("1e300 TiB", [](const JsonReader& json) { json.bytes(); }));
}

}  // namespace test_json_reader
