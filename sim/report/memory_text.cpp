#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/quantity_text.hpp"
#include "sim/report/report.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kColumns = 8;  // stages beside each other

std::string share_text(Bytes part, Bytes whole) {
  return fmt::format("{:.1f} %", part / whole * 100.0);
}

// Of the fullest node; nothing when nothing is offloaded.
std::string host_text(const MemoryEstimate& memory) {
  if (memory.host_peak <= Bytes{}) {
    return "";
  }
  if (memory.host_capacity <= Bytes{}) {
    return fmt::format("  host: {} per node; the cluster does not say how much there is\n", to_text(memory.host_peak));
  }
  return fmt::format("  host: {} of {} per node\n", to_text(memory.host_peak), to_text(memory.host_capacity));
}

std::string verdict(const MemoryEstimate& memory) {
  const std::size_t fullest = memory.fullest();
  if (memory.fits()) {
    return fmt::format("  fits: stage {} is the fullest and has {} to spare\n", fullest,
                       to_text(memory.capacity - memory.peak));
  }
  std::vector<std::string> reasons;
  if (memory.peak > memory.capacity) {
    reasons.push_back(fmt::format("stage {} needs {} of {}, {} too much", fullest, to_text(memory.peak),
                                  to_text(memory.capacity), to_text(memory.peak - memory.capacity)));
  }
  if (!memory.fits_host()) {
    reasons.push_back(fmt::format("a node's host needs {} of {}, {} too much", to_text(memory.host_peak),
                                  to_text(memory.host_capacity), to_text(memory.host_peak - memory.host_capacity)));
  }
  return fmt::format("  DOES NOT FIT: {}\n", fmt::join(reasons, "; "));
}

// "memory per GPU, of 79.15 GiB (a100-80)"
std::string heading(const Scenario& scenario) {
  std::string capacities;
  for (const GpuSpec& gpu : scenario.different_gpus()) {
    capacities += fmt::format("{}{} ({})", capacities.empty() ? "" : " or ", to_text(gpu.memory), gpu.name);
  }
  return fmt::format("memory per GPU, of {}\n", capacities);
}

// What one line of the summary shows; consecutive stages that show the same share a line.
std::string stage_figures(const Stage& stage, const StageMemory& memory) {
  return fmt::format("{:>6}  {:>10}  {:>7}{}", stage.layers(), to_text(memory.total),
                     share_text(memory.total, memory.capacity), memory.total > memory.capacity ? "  does not fit" : "");
}

std::string table_of_stages(const Layout& layout, const MemoryEstimate& memory, std::size_t first, std::size_t last) {
  const auto line = [&](std::string_view name, const auto& cell) {
    std::string out = fmt::format("  {:<26}", name);
    for (std::size_t s = first; s < last; ++s) {
      out += fmt::format("{:>11}", cell(s));
    }
    return out + "\n";
  };
  std::string out = line("", [](std::size_t s) { return fmt::format("stage {}", s); });
  out += line("layers", [&](std::size_t s) { return fmt::format("{}", layout.stages[s].layers()); });
  for (const auto& [name, use] : kMemoryUseNames.rows) {
    const auto bytes_of = [&memory, which = use](std::size_t s) { return memory.stages[s].uses[which]; };
    out += line(name, [&](std::size_t s) { return bytes_of(s) > Bytes{} ? to_text(bytes_of(s)) : std::string("-"); });
  }
  out += line("total", [&](std::size_t s) { return to_text(memory.stages[s].total); });
  if (memory.stages[first].at) {
    out += line("reached after", [&](std::size_t s) { return to_text(*memory.stages[s].at); });
  }
  out +=
      line("of capacity", [&](std::size_t s) { return share_text(memory.stages[s].total, memory.stages[s].capacity); });
  return out;
}

}  // namespace

std::string notes_text(std::span<const std::string> notes) {
  std::string out;
  for (const std::string& note : notes) {
    out += fmt::format("  note      {}\n", note);
  }
  return out;
}

std::string memory_text(const Scenario& scenario, const Layout& layout, const MemoryEstimate& memory) {
  std::string out = heading(scenario) + notes_text(scenario.notes);
  for (std::size_t first = 0; first < memory.stages.size(); first += kColumns) {
    out += table_of_stages(layout, memory, first, std::min(first + kColumns, memory.stages.size()));
  }
  return out + host_text(memory) + verdict(memory);
}

std::string memory_summary_text(const Scenario& scenario, const Layout& layout, const MemoryEstimate& memory) {
  std::string out = heading(scenario);
  out += fmt::format("  {:<9}{:>6}  {:>10}  {:>7}\n", "stage", "layers", "total", "share");
  for (std::size_t first = 0; first < memory.stages.size();) {
    const std::string figures = stage_figures(layout.stages[first], memory.stages[first]);
    std::size_t last = first;
    while (last + 1 < memory.stages.size() &&
           stage_figures(layout.stages[last + 1], memory.stages[last + 1]) == figures) {
      ++last;
    }
    out += fmt::format("  {:<9}{}\n", first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last),
                       figures);
    first = last + 1;
  }
  return out + host_text(memory) + verdict(memory);
}

}  // namespace trainyard
