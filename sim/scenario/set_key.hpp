#pragma once
#include <string_view>

#include "sim/base/json_reader.hpp"

namespace trainyard {

// Sets document[key.path] = value, reading the value as JSON when it is JSON and as text otherwise (--set).
void set_key(Json& document, std::string_view assignment);

}  // namespace trainyard
