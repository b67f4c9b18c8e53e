#include "sim/engine/deadlock.hpp"

#include <fmt/format.h>

namespace trainyard {
namespace {

constexpr std::size_t kMostNamed = 16;

}  // namespace

UserError deadlock(const Program& program, const std::vector<BlockedOperation>& blocked) {
  std::string found;
  for (std::size_t i = 0; i < blocked.size() && i < kMostNamed; ++i) {
    const BlockedOperation& one = blocked[i];
    const Operation& operation = program.classes[one.program_class.index()].operations[one.operation.index()];
    found += fmt::format("{}rank {} ({}), stream {}: operation {} \"{}\"", i == 0 ? "" : "; ", one.rank.value,
                         program.class_names[one.program_class.index()], kStreamNames.name_of(operation.stream),
                         one.operation.value, program.names[static_cast<std::size_t>(operation.name)]);
    if (operation.micro_batch >= 0) {
      found += fmt::format(" of micro-batch {}", operation.micro_batch);
    }
  }
  if (blocked.size() > kMostNamed) {
    found += fmt::format("; and {} more", blocked.size() - kMostNamed);
  }
  return UserError({.found = std::move(found),
                    .problem = "the simulated program deadlocks: these operations wait for each other",
                    .remedy = "mend the order of sends, receives and collectives in the schedule"},
                   ExitCode::kDeadlock);
}

}  // namespace trainyard
