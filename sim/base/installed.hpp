#pragma once
// An installed trainyard is a tree that may be moved: bin/trainyard, share/trainyard (what it reads), lib/trainyard
// (what it loads).
#include <filesystem>
#include <optional>
#include <string_view>

namespace trainyard {

// What lies at a path of the tree that the running program stands in the folder `bin` of ("share/trainyard"); nothing
// where there is no such thing, as beside a program that was built and not installed.
std::optional<std::filesystem::path> installed_path(std::string_view relative);

}  // namespace trainyard
