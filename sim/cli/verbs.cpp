#include "sim/cli/verbs.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <system_error>

#include "sim/base/files.hpp"
#include "sim/scenario/cluster_choice.hpp"

namespace trainyard {

int whole_number(const std::string& flag, const std::string& typed, int smallest, int largest) {
  int value = 0;
  const char* const end = typed.data() + typed.size();
  const auto [rest, error] = std::from_chars(typed.data(), end, value);
  if (error != std::errc() || rest != end || value < smallest || value > largest) {
    throw UserError({.file = flag,
                     .found = fmt::format("\"{}\"", typed),
                     .allowed = fmt::format("{} to {}", smallest, largest),
                     .problem = "expected a whole number"});
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
    fmt::print(stderr, "{}: {}\n", cluster.name, note.get<std::string>());
  }
}

void JsonOutput::add_to(CLI::App& verb) {
  verb.add_option("--json", target, "write the result as JSON to a file, or to standard output with -");
}

void JsonOutput::check() const {
  if (!target.empty() && !to_stdout()) {
    check_writable(target);
  }
}

void JsonOutput::write(const Json& json) const {
  if (target.empty()) {
    return;
  }
  const std::string text = json.dump(2) + "\n";
  if (to_stdout()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    write_file(target, text);
  }
}

}  // namespace trainyard
