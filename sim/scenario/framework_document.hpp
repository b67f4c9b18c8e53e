#pragma once
// A framework profile as one document: what its file says, laid over the profile that it names as its base.
#include <string>
#include <string_view>

#include "sim/base/json_reader.hpp"

namespace trainyard {

// Where the profiles of the catalogue lie.
inline constexpr std::string_view kFrameworkFolder = "sim/scenario/frameworks";

struct FrameworkDocument {
  std::string name;  // of the catalogue's entry; of a user's file its path
  std::string file;
  Json document;  // without "base"
};

// The profile `name` of the catalogue, or the file at the path `name` (with a slash or ".json"), and with {"base": "B"}
// everything that it leaves out as the catalogue's B has it: objects are merged, all else is replaced, and null takes a
// key away (RFC 7396). Its description and its fits are always its own. Throws UserError where there is no such profile
// or base (`file` and `pointer` say where the name was given) and where bases lead in a circle.
FrameworkDocument framework_document(std::string_view name, std::string_view file = "--framework",
                                     std::string_view pointer = "");

}  // namespace trainyard
