#include "sim/base/json_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

constexpr int kDeepestNesting = 64;
constexpr std::size_t kLongestQuote = 80;
// Parsed, a document takes many times its size; no name is as long as the longest text.
constexpr std::uintmax_t kLargestDocument = std::uintmax_t{64} << 20U;
constexpr std::size_t kLongestKey = std::size_t{4} << 10U;
constexpr std::size_t kLongestText = std::size_t{1} << 20U;

std::string quoted(const Json& value) {
  std::string text = json_text(value);
  if (text.size() > kLongestQuote) {
    text.resize(kLongestQuote);
    text += "...";
  }
  return text;
}

std::string escaped_token(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

namespace {

// "file:line:column" of a byte.
std::string place_in(const std::string& file, std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("{}:{}:{}", file, line, byte - line_start + 1);
}

// To the parser a NUL is the end of the text; what stands after it would be left out in silence.
void check_no_nul(std::string_view text, const std::string& file) {
  const std::size_t nul = text.find('\0');
  if (nul != std::string_view::npos) {
    throw UserError({.file = place_in(file, text, nul),
                     .found = "a NUL byte",
                     .allowed = "UTF-8 text",
                     .problem = "not valid JSON",
                     .remedy = "write the file anew: it is damaged, or in UTF-16"});
  }
}

// Goes through a text before it is parsed, and refuses what no document of ours has. A callback of the parser itself
// would look at all that came before at every end of an object.
class DocumentCheck : public nlohmann::json_sax<Json> {
 public:
  explicit DocumentCheck(const std::string& file) : file_(file) {}

  const std::optional<std::string>& duplicate() const { return duplicate_; }

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }
  bool string(string_t& value) override {
    check_length(value, kLongestText);
    return true;
  }
  bool key(string_t& value) override {
    check_length(value, kLongestKey);
    if (!keys_.back().insert(value).second && !duplicate_) {
      duplicate_ = value;
    }
    return true;
  }
  bool start_object(std::size_t /*elements*/) override {
    keys_.emplace_back();
    return enter();
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(std::size_t /*elements*/) override { return enter(); }
  bool end_array() override { return leave(); }
  // The parser says it again, where it is reported.
  bool parse_error(std::size_t /*byte*/, const std::string& /*token*/, const Json::exception& /*error*/) override {
    return false;
  }

 private:
  bool enter() {
    if (++depth_ > kDeepestNesting) {
      throw UserError({.file = file_, .problem = fmt::format("nested deeper than {} levels", kDeepestNesting)});
    }
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }
  void check_length(const std::string& text, std::size_t longest) const {
    if (text.size() > longest) {
      throw UserError({.file = file_,
                       .found = fmt::format("{} bytes, beginning with {}", text.size(), quoted(Json(text))),
                       .allowed = fmt::format("{} bytes", longest),
                       .problem = "a text is too long",
                       .remedy = "shorten it"});
    }
  }

  const std::string& file_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
  std::optional<std::string> duplicate_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& file) {
  check_no_nul(text, file);
  DocumentCheck check(file);
  Json::sax_parse(text, &check);
  try {
    Json document = Json::parse(text);
    if (check.duplicate()) {
      throw UserError(
          {.file = file, .found = fmt::format("the key \"{}\" twice", *check.duplicate()), .problem = "duplicate key"});
    }
    return document;
  } catch (const Json::parse_error& error) {
    const std::size_t end = std::min(error.byte == 0 ? 0 : error.byte - 1, text.size());
    throw UserError({.file = place_in(file, text, end),
                     .problem = "not valid JSON",
                     .remedy = end >= text.size() ? "the text ends too early: complete it" : "mend the syntax there"});
  } catch (const Json::out_of_range&) {
    throw UserError({.file = file,
                     .allowed = "numbers that fit a double",
                     .problem = "a number is too large to be read",
                     .remedy = "write a smaller one"});
  }
}

Json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_file(path, kLargestDocument), path.string());
}

bool JsonReader::has(std::string_view key) const {
  return find(key).has_value();
}

std::optional<JsonReader> JsonReader::find(std::string_view key) const {
  if (!value_->is_object()) {
    fail("expected an object", "{...}");
  }
  const auto found = value_->find(std::string(key));
  if (found == value_->end() || found->is_null()) {
    return std::nullopt;
  }
  return JsonReader(*found, file_, pointer_ + "/" + escaped_token(key));
}

JsonReader JsonReader::at(std::string_view key) const {
  if (auto found = find(key)) {
    return *std::move(found);
  }
  throw UserError(
      {.file = file_, .pointer = pointer_ + "/" + escaped_token(key), .found = "nothing", .problem = "missing key"});
}

std::vector<JsonReader> JsonReader::elements() const {
  if (!value_->is_array()) {
    fail("expected a list", "[...]");
  }
  std::vector<JsonReader> out;
  out.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) {
    out.emplace_back((*value_)[i], file_, fmt::format("{}/{}", pointer_, i));
  }
  return out;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members() const {
  if (!value_->is_object()) {
    fail("expected an object", "{...}");
  }
  std::vector<std::pair<std::string, JsonReader>> out;
  for (const auto& [key, value] : value_->items()) {
    out.emplace_back(key, JsonReader(value, file_, pointer_ + "/" + escaped_token(key)));
  }
  return out;
}

void JsonReader::expect_keys(std::initializer_list<std::string_view> allowed) const {
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  for (const auto& [key, member] : members()) {
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      throw UserError({.file = file_,
                       .pointer = member.pointer(),
                       .allowed = join_names(names),
                       .nearest = nearest_name(key, names).value_or(""),
                       .problem = fmt::format("unknown key \"{}\"", key)});
    }
  }
}

std::string JsonReader::text() const {
  if (!value_->is_string()) {
    fail("expected text", "\"...\"");
  }
  return value_->get<std::string>();
}

bool JsonReader::boolean() const {
  if (!value_->is_boolean()) {
    fail("expected true or false", "true, false");
  }
  return value_->get<bool>();
}

std::int64_t JsonReader::integer(std::int64_t smallest, std::int64_t largest) const {
  const auto value = value_->is_number() ? value_->get<double>() : std::nan("");
  if (!(std::floor(value) == value && value >= static_cast<double>(smallest) &&
        value <= static_cast<double>(largest))) {
    fail(std::floor(value) == value ? "the number is out of range" : "expected a whole number",
         fmt::format("{} to {}", smallest, largest));
  }
  return value_->is_number_integer() ? value_->get<std::int64_t>() : static_cast<std::int64_t>(value);
}

double JsonReader::number(double smallest, double largest) const {
  const auto value = value_->is_number() ? value_->get<double>() : std::nan("");
  if (!(value >= smallest && value <= largest)) {
    fail(value_->is_number() ? "the number is out of range" : "expected a number",
         fmt::format("{} to {}", smallest, largest));
  }
  return value;
}

template <class Parse>
auto JsonReader::parsed(Parse parse, double smallest, double largest, std::string_view unit) const {
  const std::string written = value_->is_string() ? value_->get<std::string>() : "";
  const auto quantity = [&] {
    try {
      return parse(written);
    } catch (const std::invalid_argument& error) {
      fail("expected a quantity with its unit, as text", error.what());
    }
  }();
  if (quantity.value < smallest || quantity.value > largest) {
    fail("the quantity is out of bounds", fmt::format("{:g} to {:g} {}", smallest, largest, unit));
  }
  return quantity;
}

// Far beyond what there is, and such that no quotient of two of them leaves the range of doubles. Rates divide: they
// are never zero.
Seconds JsonReader::seconds() const {
  return parsed(parse_seconds, 0.0, 1e9, "s");
}
Bytes JsonReader::bytes() const {
  return parsed(parse_bytes, 0.0, 1e21, "B");
}
Hertz JsonReader::hertz() const {
  return parsed(parse_hertz, 1.0, 1e15, "Hz");
}
BytesPerSecond JsonReader::bytes_per_second() const {
  return parsed(parse_bytes_per_second, 1.0, 1e21, "B/s");
}
FlopsPerSecond JsonReader::flops_per_second() const {
  return parsed(parse_flops_per_second, 1.0, 1e24, "FLOP/s");
}

void JsonReader::fail(std::string problem, std::string allowed, std::string nearest) const {
  throw UserError({.file = file_,
                   .pointer = pointer_.empty() ? "/" : pointer_,
                   .found = quoted(*value_),
                   .allowed = std::move(allowed),
                   .nearest = std::move(nearest),
                   .problem = std::move(problem)});
}

}  // namespace trainyard
