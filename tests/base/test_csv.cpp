#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/csv.hpp"
#include "sim/base/csv_text.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

namespace trainyard::test_csv {
namespace {

using namespace std::string_literals;
namespace fs = std::filesystem;

CsvTable table(const std::string& content) {
  const fs::path path = fs::temp_directory_path() / ("trainyard_csv_" + std::to_string(::getpid()) + ".csv");
  write_file(path, content);
  const CsvTable read = CsvTable::read(path);
  fs::remove(path);
  return read;
}

template <class Read>
Fault refusal(Read read) {
  try {
    read();
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("no error was raised");
  return {};
}
Fault refusal_of(const std::string& content) {
  return refusal([&] { table(content); });
}

}  // namespace

TEST_CASE("fields may be quoted or empty, and blanks around bare ones do not count") {
  const CsvTable read = table("id,value,note\na,1.5,\"x, \"\"y\"\"\"\nb,,\n c , 2 ,a \"b\" c\n\nd,3,\"two\nlines\"\n");
  REQUIRE(read.rows() == 4);
  CHECK(read.text(0, "note") == "x, \"y\"");
  CHECK(read.number(0, "value") == 1.5);
  CHECK_FALSE(read.number(1, "value").has_value());
  CHECK(read.text(1, "note").empty());
  CHECK(read.text(2, "id") == "c");
  CHECK(read.number(2, "value") == 2.0);
  CHECK(read.text(2, "note") == "a \"b\" c");
  CHECK(read.text(3, "note") == "two\nlines");
  CHECK_THROWS_AS(read.integer(0, "value"), UserError);
}

TEST_CASE("the same table is read whatever ends its lines, separates its fields or marks its beginning") {
  for (const std::string& content : {"id,tp\na,8\nb,4\n"s, "id,tp\r\na,8\r\nb,4\r\n"s, "id,tp\ra,8\rb,4"s,
                                     "\xEF\xBB\xBFid,tp\na,8\nb,4\n"s, "id;tp\na;8\nb;4\n"s, "id\ttp\na\t8\nb\t4\n"s,
                                     "\"id\",\"tp\"\n\"a\",\"8\"\n\"b\",\"4\""s, "id,tp,,\na,8,,\nb,4,,,\n"s}) {
    const CsvTable read = table(content);
    REQUIRE(read.rows() == 2);
    CHECK(read.text(0, "id") == "a");
    CHECK(read.integer(0, "tp") == 8);
    CHECK(read.integer(1, "tp") == 4);
  }
  // A comma in the header is the separator; a semicolon beside it is text.
  CHECK(table("id,tp;pp\na,8;2\n").text(0, "tp;pp") == "8;2");
}

TEST_CASE("what cannot be read rightly is refused with its line") {
  CHECK(refusal_of("").problem == "the table has no header line");
  CHECK(refusal_of("\n\n").problem == "the table has no header line");
  CHECK(refusal_of("id,tp,id\na,8,b\n").pointer == "line 1, column id");
  CHECK(refusal_of("id,tp\na,8\nb,\"4\n").problem == "a quote is never closed");
  CHECK(refusal_of("id,tp\na,8\nb,\"4\n").pointer == "line 3, byte 3");
  CHECK(refusal_of("id,tp\na,\"8\"x\n").problem == "text behind a closing quote");
  CHECK(refusal_of("id,tp\na,8\n\nb\n").pointer == "line 4");
  CHECK(refusal_of("id,tp\na,8\n\nb\n").problem == "fewer fields than the header names");
  CHECK(refusal_of("id,tp\na,8,9\n").problem == "more fields than the header names");
  // "id" in UTF-16, little-endian with its mark; then without, where its bytes of zero tell.
  CHECK(refusal_of("\xFF\xFEi\0d\0"s).found == "the mark of UTF-16");
  CHECK(refusal_of("i\0d\0,\0"s).pointer == "line 1, byte 2");
  CHECK(refusal_of("id,note\na,caf\xE9\n").pointer == "line 2, byte 6");
  CHECK(refusal_of("id,note\na,caf\xE9\n").found == "byte 0xE9");
  CHECK(table("id,note\na,caf\xC3\xA9\n").text(0, "note") == "caf\xC3\xA9");
}

TEST_CASE("numbers and flags say which field is wrong") {
  const CsvTable read = table("id,step,gated\na,nan,banana\nb,0,TRUE\nc,-1,no\nd,\"1,5\",0\ne,1e400,1\n");
  for (const std::size_t row : {0U, 3U, 4U}) {
    CHECK(refusal([&] { read.number(row, "step"); }).problem == "not a number");
  }
  for (const std::size_t row : {1U, 2U}) {
    CHECK(refusal([&] { read.measurement(row, "step", kMeasuredSeconds); }).problem == "a measurement is above zero");
  }
  const CsvTable measured = table("id,us\na,1e-317\nb,1e16\nc,1e-3\nd,1e15\ne,\n");
  const MeasuredRange microseconds = kMeasuredSeconds.in(1e6);
  CHECK(refusal([&] { measured.measurement(0, "us", microseconds); }).problem == "too small for a measurement");
  CHECK(refusal([&] { measured.measurement(0, "us", microseconds); }).pointer == "line 2, column us");
  CHECK(refusal([&] { measured.measurement(1, "us", microseconds); }).problem == "too large for a measurement");
  CHECK(measured.measurement(2, "us", microseconds) == 1e-3);
  CHECK(measured.measurement(3, "us", microseconds) == 1e15);
  CHECK_FALSE(measured.measurement(4, "us", microseconds).has_value());
  const Fault fault = refusal([&] { read.flag(0, "gated"); });
  CHECK(fault.pointer == "line 2, column gated");
  CHECK(fault.found == "banana");
  CHECK(read.flag(1, "gated") == true);
  CHECK(read.flag(2, "gated") == false);
  CHECK(read.flag(3, "gated") == false);
  CHECK_FALSE(read.flag(3, "no such column").has_value());
}

TEST_CASE("columns that a reader needs are asked for by name") {
  const CsvTable read = table("id,micro_bach\na,1\n");
  CHECK_NOTHROW(read.require_columns({"id"}));
  const Fault fault = refusal([&] { read.require_columns({"id", "micro_batch"}); });
  CHECK(fault.problem == "the table lacks columns that it needs: micro_batch");
  CHECK(fault.nearest == "micro_bach");
}

TEST_CASE("what csv_field writes is read back") {
  rc::check("any text without blanks at its ends", [] {
    const auto letters = rc::gen::element('a', '1', ',', ';', '"', '\n', '\r', '\t');
    const auto fields =
        *rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(letters)));
    std::string line = "first";
    for (std::size_t i = 0; i < fields.size(); ++i) {
      line += ",";
    }
    line += "\nx";
    for (const std::string& field : fields) {
      line += "," + csv_field(field);
    }
    const std::vector<CsvRecord> read = split_csv(line, "t.csv");
    RC_ASSERT(read.size() == 2U);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      // Blanks around a bare field are no part of it.
      std::string expected = fields[i];
      if (csv_field(expected) == expected) {
        while (!expected.empty() && expected.back() == '\t') {
          expected.pop_back();
        }
        expected.erase(0, std::min(expected.find_first_not_of('\t'), expected.size()));
      }
      RC_ASSERT(read[1].fields[i + 1] == expected);
    }
  });
}

}  // namespace trainyard::test_csv
