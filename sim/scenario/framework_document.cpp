#include "sim/scenario/framework_document.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "sim/base/files.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kWhat = "framework profile";

// The file's document on top of its bases; `above` are the profiles that led here, by name.
Json on_base(const std::filesystem::path& path, std::vector<std::string> above) {
  Json document = read_json_file(path);
  const auto base = JsonReader(document, path.string()).find("base");
  if (!base) {
    if (document.is_object()) {
      document.erase("base");  // null: none
    }
    return document;
  }
  const auto below = catalogue_path(kFrameworkFolder, kWhat, base->text(), base->file(), base->pointer());
  const std::string name = below.stem().string();
  if (std::find(above.begin(), above.end(), name) != above.end()) {
    above.push_back(name);
    base->fail(fmt::format("the bases of framework profiles lead in a circle: {}", fmt::join(above, ", ")),
               "a profile that does not rest on this one");
  }
  above.push_back(name);
  Json whole = on_base(below, std::move(above));
  for (const char* own : {"description", "fits"}) {
    whole.erase(own);
  }
  document.erase("base");
  whole.merge_patch(document);
  return whole;
}

}  // namespace

FrameworkDocument framework_document(std::string_view name, std::string_view file, std::string_view pointer) {
  if (names_file(name)) {
    const std::filesystem::path path(name);
    return {.name = path.string(), .file = path.string(), .document = on_base(path, {})};
  }
  const auto path = catalogue_path(kFrameworkFolder, kWhat, name, file, pointer);
  const std::string entry = path.stem().string();
  return {.name = entry, .file = path.string(), .document = on_base(path, {entry})};
}

}  // namespace trainyard
