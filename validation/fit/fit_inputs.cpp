#include "validation/fit/fit_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/base/error.hpp"
#include "validation/tables/repeats.hpp"

namespace trainyard {
namespace {

struct Section {
  std::size_t rows = 0;
  std::size_t needed = kFewestRows;
  std::string why;
};

std::map<std::string, Section> sections_of(const MeasurementRows& rows) {
  std::map<std::string, Section> sections;
  for (const KernelMeasurement* row : rows) {
    std::string name;
    Section fresh;
    if (const auto* attention = std::get_if<MeasuredAttention>(&row->work)) {
      name = fmt::format("attention {} {}", attention->kernel, kPrecisionFamilyNames.name_of(family_of(*row)));
      fresh.why = "four for each of three parameters";
    } else if (const auto* bound = std::get_if<MeasuredMemoryBound>(&row->work)) {
      name =
          bound->kind == MemoryBoundKind::kReduction ? "memory-bound reductions" : "memory-bound elementwise kernels";
      fresh.needed = kFewestMemoryBoundRows;
      fresh.why = "three for the one parameter";
    } else if (row->kind() == KernelKind::kGemm) {
      name = fmt::format("GEMM {}", kPrecisionFamilyNames.name_of(family_of(*row)));
      fresh.why = "two for each of six parameters";
    } else {
      continue;  // grouped GEMMs turn no parameter
    }
    ++sections.try_emplace(name, fresh).first->second.rows;
  }
  return sections;
}

// Least and most of one dimension.
void widen(Json& range, const char* dimension, double value) {
  if (!range.contains(dimension)) {
    range[dimension] = {value, value};
    return;
  }
  range[dimension][0] = std::min(range[dimension][0].get<double>(), value);
  range[dimension][1] = std::max(range[dimension][1].get<double>(), value);
}

}  // namespace

Json check_fit_inputs(const MeasurementRows& rows, const std::string& file) {
  std::map<std::string, std::vector<double>> repeats;
  for (const KernelMeasurement* row : rows) {
    if (row->kind() != KernelKind::kGroupedGemm) {
      repeats[fmt::format("{} {} {}", row->group, row->configuration, row->variant)].push_back(row->measured.value);
    }
  }
  check_repeats(file, repeats);
  Json left_out = Json::array();
  std::string found;
  bool any = false;
  for (const auto& [name, section] : sections_of(rows)) {
    if (section.rows >= section.needed) {
      any = true;
      continue;
    }
    left_out.push_back({{"section", name}, {"rows", section.rows}, {"needed", section.needed}});
    found += fmt::format("{}{}: {} rows of the {} needed ({})", found.empty() ? "" : "; ", name, section.rows,
                         section.needed, section.why);
  }
  if (!any) {
    throw UserError({.file = file,
                     .found = found.empty() ? "no rows that turn a parameter" : found,
                     .allowed = "enough rows in one section",
                     .problem = "too little data for a fit",
                     .remedy = "measure more shapes, from small to large"});
  }
  return left_out;
}

Json valid_range(const MeasurementRows& rows) {
  std::map<std::string, Json> ranges;
  for (const KernelMeasurement* row : rows) {
    Json& range = ranges.try_emplace(row->group, Json::object()).first->second;
    if (const auto* gemm = std::get_if<Gemm>(&row->work)) {
      widen(range, "m", static_cast<double>(gemm->m));
      widen(range, "n", static_cast<double>(gemm->n));
      widen(range, "k", static_cast<double>(gemm->k));
    } else if (const auto* attention = std::get_if<MeasuredAttention>(&row->work)) {
      widen(range, "seq", static_cast<double>(attention->work.seq_q));
      widen(range, "head_dim", static_cast<double>(attention->work.head_dim));
      widen(range, "batch_heads", static_cast<double>(attention->work.batch * attention->work.heads));
    } else if (const auto* bound = std::get_if<MeasuredMemoryBound>(&row->work)) {
      widen(range, "bytes", bound->work.traffic.value);
    }
  }
  Json out = Json::object();
  for (auto& [group, range] : ranges) {
    out[group] = std::move(range);
  }
  return out;
}

}  // namespace trainyard
