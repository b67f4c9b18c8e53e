#pragma once
// JSON reading that knows its path: every error names the file, the JSON pointer, what was found and what is allowed.
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

using Json = nlohmann::ordered_json;

// Parses text as JSON (RFC 8259, UTF-8, no duplicate keys, at most 64 levels). Throws UserError naming `file`, line and
// column.
Json parse_json(std::string_view text, const std::string& file);
Json read_json_file(const std::filesystem::path& path);

// A value inside a JSON document together with where it stands. Copies are cheap; the document must outlive it.
class JsonReader {
 public:
  JsonReader(const Json& value, std::string file, std::string pointer = "")
      : value_(&value), file_(std::move(file)), pointer_(std::move(pointer)) {}

  const Json& value() const { return *value_; }
  const std::string& file() const { return file_; }
  const std::string& pointer() const { return pointer_; }

  bool has(std::string_view key) const;                             // object has the key and it is not null
  JsonReader at(std::string_view key) const;                        // throws when missing
  std::optional<JsonReader> find(std::string_view key) const;       // nothing when missing or null
  std::vector<JsonReader> elements() const;                         // of an array
  std::vector<std::pair<std::string, JsonReader>> members() const;  // of an object, in file order

  // Throws when this is no object or has a key that is not in the list; suggests the nearest.
  void expect_keys(std::initializer_list<std::string_view> allowed) const;

  std::string text() const;
  bool boolean() const;
  std::int64_t integer(std::int64_t smallest, std::int64_t largest) const;  // also takes 8.0, not 8.5
  double number(double smallest, double largest) const;                     // finite
  // Quantities of a sane size; rates are above zero.
  Seconds seconds() const;
  Bytes bytes() const;
  Hertz hertz() const;
  BytesPerSecond bytes_per_second() const;
  FlopsPerSecond flops_per_second() const;

  template <class Value, std::size_t N>
  Value choice(const NameTable<Value, N>& table) const {
    const std::string name = text();
    if (const auto found = table.find(name)) {
      return *found;
    }
    const std::vector<std::string> names = table.names();
    fail("unknown name", join_names(names), nearest_name(name, names).value_or(""));
  }

  [[noreturn]] void fail(std::string problem, std::string allowed = "", std::string nearest = "") const;

 private:
  template <class Parse>
  auto parsed(Parse parse, double smallest, double largest, std::string_view unit) const;

  const Json* value_;
  std::string file_;
  std::string pointer_;
};

}  // namespace trainyard
