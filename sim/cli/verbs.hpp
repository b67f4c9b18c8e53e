#pragma once
// What verbs share: where they register their options, and where their output goes.
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/cluster.hpp"

namespace trainyard {

// Every verb adds itself as a subcommand and keeps its options in a shared state; the callback does the work.
void add_run_verb(CLI::App& app);
void add_compare_verb(CLI::App& app);
void add_search_verb(CLI::App& app);
void add_scale_verb(CLI::App& app);
void add_memory_verb(CLI::App& app);
void add_show_verb(CLI::App& app);
void add_collective_verb(CLI::App& app);
void add_topology_verb(CLI::App& app);
void add_converge_verb(CLI::App& app);
void add_list_verb(CLI::App& app);

// The value of a flag that takes one of a few names. Throws UserError with the nearest.
template <class Value, std::size_t N>
Value named_choice(const std::string& flag, const std::string& typed, const NameTable<Value, N>& table) {
  if (const auto found = table.find(typed)) {
    return *found;
  }
  const std::vector<std::string> names = table.names();
  throw UserError({.file = flag,
                   .found = typed,
                   .allowed = join_names(names),
                   .nearest = nearest_name(typed, names).value_or(""),
                   .problem = "unknown name"});
}

// --cluster with --like: adds the two options. `choose` throws UserError and prints what an import left out or assumed.
struct ClusterOption {
  std::string cluster;
  std::string like;
  void add_to(CLI::App& verb, const std::string& help = "");
  ClusterSpec choose() const;
};

// To stderr, a line each: what was left out or assumed of an imported topology, and why.
void print_notes(const ClusterSpec& cluster);
// The same, and what was chosen for the user or left out of the rest of a scenario.
void print_notes(const Scenario& scenario);

// The value of a flag that takes a whole number. Throws UserError.
int whole_number(const std::string& flag, const std::string& typed, int smallest, int largest);

// --no-limit: adds the option that lets computations take as long and as much as they need (sim/base/effort.hpp).
void add_effort_option(CLI::App& verb);

// --json FILE|-: adds the option; write_json writes the document there ('-' is stdout) and does nothing when not asked.
struct JsonOutput {
  std::string target;
  void add_to(CLI::App& verb);
  bool to_stdout() const;                                      // "-", or a name of the standard output as /dev/stdout
  OutputOption option() const;                                 // for check_outputs
  void check(std::span<const std::string> inputs = {}) const;  // as check_outputs
  void write(const Json& json) const;                          // whole or not at all
};

}  // namespace trainyard
