#pragma once
// The options of verbs that read measured collectives.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "validation/tables/collective_sources.hpp"

namespace trainyard {

struct MeasuredCollectivesOptions {
  std::string cluster;
  std::string op;
  std::string ranks;
  std::string nodes;
  bool any_gpu = false;

  void add_to(CLI::App& verb, const char* cluster_help);
  // The first of the options that only measured collectives have a use for and that was given; empty: none.
  std::string first_given() const;
  // Throws UserError for names and numbers that cannot be.
  CollectiveSources sources(std::vector<std::filesystem::path> files) const;
};

}  // namespace trainyard
