#pragma once
// Fitted parameters of a kernel model: one table says their names, units, bounds and where a fit starts, and serves
// reading, writing and fitting alike.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// One parameter of the parameter struct P: a ratio (a bare number in JSON) or a time (text with its unit).
template <class P>
struct ParameterField {
  std::string_view name;
  double P::*ratio = nullptr;
  Seconds P::*time = nullptr;
  double smallest = 0.0;  // bounds, in seconds for a time
  double largest = 0.0;
  double start = 0.0;  // where a fit starts

  double get(const P& parameters) const { return time != nullptr ? (parameters.*time).value : parameters.*ratio; }
  void set(P& parameters, double value) const {
    if (time != nullptr) {
      (parameters.*time).value = value;
    } else {
      parameters.*ratio = value;
    }
  }
};

// Reads every field of the table; a missing one, an unknown one and one out of bounds are errors.
template <class P>
P read_parameters(const JsonReader& reader, std::span<const ParameterField<P>> fields) {
  std::vector<std::string> names;
  for (const ParameterField<P>& field : fields) {
    names.emplace_back(field.name);
  }
  for (const auto& [key, member] : reader.members()) {
    if (std::find(names.begin(), names.end(), key) == names.end()) {
      throw UserError({.file = member.file(),
                       .pointer = member.pointer(),
                       .allowed = join_names(names),
                       .nearest = nearest_name(key, names).value_or(""),
                       .problem = fmt::format("unknown parameter \"{}\"", key)});
    }
  }
  P parameters;
  for (const ParameterField<P>& field : fields) {
    const JsonReader member = reader.at(field.name);
    // Written figures are rounded, so a value at its bound may lie a little outside.
    constexpr double kRounding = 1e-3;
    const double smallest = field.smallest * (1.0 - kRounding);
    const double largest = field.largest * (1.0 + kRounding);
    const double value = field.time != nullptr ? member.seconds().value : member.number(smallest, largest);
    if (!(value >= smallest && value <= largest)) {
      member.fail("parameter out of bounds", fmt::format("{} s to {} s", field.smallest, field.largest));
    }
    field.set(parameters, value);
  }
  return parameters;
}

template <class P>
Json write_parameters(const P& parameters, std::span<const ParameterField<P>> fields) {
  Json object = Json::object();
  for (const ParameterField<P>& field : fields) {
    const double value = field.get(parameters);
    if (field.time != nullptr) {
      object[std::string(field.name)] = fmt::format("{:.4g} us", value * 1e6);
    } else {
      object[std::string(field.name)] = std::stod(fmt::format("{:.4g}", value));
    }
  }
  return object;
}

}  // namespace trainyard
