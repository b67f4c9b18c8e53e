#include "sim/cli/verbs.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <system_error>

#include "sim/base/effort.hpp"
#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/base/output_file.hpp"
#include "sim/scenario/cluster_choice.hpp"

namespace trainyard {

int whole_number(const std::string& flag, const std::string& typed, int smallest, int largest) {
  int value = 0;
  const char* const end = typed.data() + typed.size();
  const auto [rest, error] = std::from_chars(typed.data(), end, value);
  if (error != std::errc() || rest != end || value < smallest || value > largest) {
    throw UserError(
        {.file = flag,
         .found = fmt::format("\"{}\"", typed),
         .allowed = fmt::format("{} to {}", smallest, largest),
         .problem = error == std::errc() && rest == end ? "the number is out of range" : "expected a whole number"});
  }
  return value;
}

void ClusterOption::add_to(CLI::App& verb, const std::string& help) {
  verb.add_option("--cluster", cluster,
                  help.empty() ? "catalogue name, cluster JSON, nvidia-smi topo -m text or NCCL topology XML" : help);
  verb.add_option("--like", like, "of a topology: the cluster that it is most like, for what it leaves out");
}

ClusterSpec ClusterOption::choose() const {
  ClusterSpec chosen = choose_cluster({.cluster = cluster, .like = like});
  print_notes(chosen);
  return chosen;
}

void print_notes(const ClusterSpec& cluster) {
  for (const Json& note : cluster.document.contains("notes") ? cluster.document["notes"] : Json::array()) {
    print_note(fmt::format("{}: {}\n", cluster.name, note.get<std::string>()));
  }
}

void print_notes(const Scenario& scenario) {
  print_notes(scenario.cluster);
  for (const std::string& note : scenario.notes) {
    print_note(fmt::format("{}: {}\n", scenario.model.name, note));
  }
}

void add_effort_option(CLI::App& verb) {
  verb.add_flag_callback("--no-limit", lift_effort_limit, "try what would take very long or more memory than there is");
}

void JsonOutput::add_to(CLI::App& verb) {
  verb.add_option("--json", target, "write the result as JSON to a file, or to standard output with -");
}

bool JsonOutput::to_stdout() const {
  return target == "-" || (!target.empty() && output_place(target).descriptor == STDOUT_FILENO);
}

OutputOption JsonOutput::option() const {
  return {"--json", to_stdout() ? std::string_view() : std::string_view(target)};
}

void JsonOutput::check(std::span<const std::string> inputs) const {
  check_outputs({option()}, inputs);
}

void JsonOutput::write(const Json& json) const {
  if (target.empty()) {
    return;
  }
  const std::string text = json_text(json, 2) + "\n";
  if (to_stdout()) {
    print_text(text);
  } else {
    check();       // against what was read since
    flush_text();  // where both go to one terminal, in this order
    write_file(target, text);
  }
}

}  // namespace trainyard
