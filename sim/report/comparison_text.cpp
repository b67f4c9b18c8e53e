#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "sim/base/quantity_text.hpp"
#include "sim/report/comparison.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kNameWidth = 30;
constexpr std::size_t kColumnWidth = 14;
constexpr std::size_t kWidestColumn = 40;
constexpr std::size_t kLinesPerList = 10;
constexpr double kShownShare = 0.0005;  // of the step: what is less in every run is not worth a line

std::string shortened(std::string_view text, std::size_t width) {
  return text.size() <= width ? std::string(text) : std::string(text.substr(0, width - 2)) + "..";
}

std::string signed_text(Seconds difference) {
  const bool less = difference < Seconds{};
  return (less ? "-" : "+") + to_text(less ? Seconds{-difference.value} : difference);
}

std::string signed_text(Bytes difference) {
  const bool less = difference < Bytes{};
  return (less ? "-" : "+") + to_text(less ? Bytes{-difference.value} : difference);
}

// What tells paths and numbered names apart stands at their end.
std::string shortened_in_front(std::string_view text, std::size_t width) {
  return text.size() <= width ? std::string(text) : ".." + std::string(text.substr(text.size() - width + 2));
}

std::size_t column_width(const Comparison& comparison) {
  std::size_t width = kColumnWidth;
  for (const ComparedRun& run : comparison.runs) {
    width = std::max(width, run.name.size());
  }
  return std::min(width, kWidestColumn);
}

// One line of the side-by-side table.
template <class Cell>
std::string line(const Comparison& comparison, std::string_view name, const Cell& cell) {
  std::string out = fmt::format("  {:<{}}", shortened(name, kNameWidth), kNameWidth);
  const std::size_t width = column_width(comparison);
  for (const ComparedRun& run : comparison.runs) {
    out += fmt::format("  {:>{}}", shortened_in_front(cell(run), width), width);
  }
  return out + "\n";
}

double breakdown_part(const ComparedRun& run, const std::string& part) {
  return run.result.at("breakdown_s").at(part).get<double>();
}

std::string table(const Comparison& comparison) {
  std::string out = line(comparison, "", [](const ComparedRun& run) { return run.name; });
  out += line(comparison, "step time",
              [](const ComparedRun& run) { return to_text(Seconds{run.result.at("step_time_s").get<double>()}); });
  out += line(comparison, "measured, at least", [](const ComparedRun& run) {
    return to_text(Seconds{run.result.at("uncertainty").at("low_s").get<double>()});
  });
  out += line(comparison, "measured, at most", [](const ComparedRun& run) {
    const Json& high = run.result.at("uncertainty").at("high_s");
    return high.is_null() ? std::string("-") : to_text(Seconds{high.get<double>()});
  });
  out += line(comparison, "tokens/s per GPU", [](const ComparedRun& run) {
    return fmt::format("{:.1f}", run.result.at("tokens_per_s_per_gpu").get<double>());
  });
  out += line(comparison, "MFU", [](const ComparedRun& run) {
    return fmt::format("{:.1f} %", run.result.at("mfu").get<double>() * 100.0);
  });
  for (const auto& part : comparison.runs.front().result.at("breakdown_s").items()) {
    const std::string& name = part.key();
    const bool shown = std::any_of(comparison.runs.begin(), comparison.runs.end(), [&](const ComparedRun& run) {
      return breakdown_part(run, name) > kShownShare * run.result.at("step_time_s").get<double>();
    });
    if (shown) {
      out +=
          line(comparison, name, [&](const ComparedRun& run) { return to_text(Seconds{breakdown_part(run, name)}); });
    }
  }
  std::vector<std::string> terms;  // of memory, in the order of their first appearance
  for (const ComparedRun& run : comparison.runs) {
    for (const auto& [name, bytes] : fullest_stage(run.result).at("terms_bytes").items()) {
      if (bytes.get<double>() > 0.0 && std::find(terms.begin(), terms.end(), name) == terms.end()) {
        terms.push_back(name);
      }
    }
  }
  out += "  memory of the fullest stage\n";
  for (const std::string& name : terms) {
    out += line(comparison, name, [&](const ComparedRun& run) {
      const Json& stage = fullest_stage(run.result).at("terms_bytes");
      return stage.contains(name) ? to_text(Bytes{stage.at(name).get<double>()}) : std::string("-");
    });
  }
  out += line(comparison, "total", [](const ComparedRun& run) {
    return to_text(Bytes{run.result.at("memory").at("peak_bytes").get<double>()});
  });
  out += line(comparison, "fits", [](const ComparedRun& run) {
    return std::string(run.result.at("memory").at("fits").get<bool>() ? "yes" : "NO");
  });
  return out;
}

// What the bands rest on, once for runs that share it.
std::string bases(const Comparison& comparison) {
  std::vector<std::string> said;
  std::string out;
  for (const ComparedRun& run : comparison.runs) {
    const std::string basis = run.result.at("uncertainty").at("basis").get<std::string>();
    if (std::find(said.begin(), said.end(), basis) == said.end()) {
      out += fmt::format("  {}\n", basis);
      said.push_back(basis);
    }
  }
  return out;
}

std::string explanation_text(const Comparison& comparison, const Explanation& one) {
  const std::string& fastest = comparison.runs[comparison.fastest].name;
  const std::string& other = comparison.runs[one.run].name;
  const double step = comparison.runs[comparison.fastest].result.at("step_time_s").get<double>();
  std::string out = one.slower_by > Seconds{}
                        ? fmt::format("why {} is faster than {}: {} of {} ({:.1f} %)\n", fastest, other,
                                      to_text(one.slower_by), to_text(Seconds{step + one.slower_by.value}),
                                      one.slower_by.value / (step + one.slower_by.value) * 100.0)
                        : fmt::format("{} and {} are equally fast\n", fastest, other);
  for (const ScenarioDifference& difference : one.scenario) {
    out += fmt::format("  {} is {} instead of {}\n", difference.pointer, difference.fastest, difference.other);
  }
  const auto list = [&](std::string_view title, const std::vector<Difference>& differences, std::size_t most) {
    if (differences.empty()) {
      return;
    }
    out += fmt::format("  {}\n", title);
    double rest = 0.0;
    std::size_t shown = 0;
    for (const Difference& part : differences) {
      if (shown < most && std::abs(part.difference()) > kShownShare * step) {
        out += fmt::format("    {:>11}  {:<40} {:>10} -> {}\n", signed_text(Seconds{part.difference()}), part.name,
                           to_text(Seconds{part.fastest}), to_text(Seconds{part.other}));
        ++shown;
      } else {
        rest += part.difference();
      }
    }
    if (shown < differences.size() && std::abs(rest) > kShownShare * step) {
      out += fmt::format("    {:>11}  {} others\n", signed_text(Seconds{rest}), differences.size() - shown);
    }
  };
  list("time of an average GPU", one.breakdown, one.breakdown.size());
  list("operations of the critical path", one.critical_path, kLinesPerList);
  if (!one.memory.empty()) {
    out += "  memory of the fullest stage\n";
    for (const Difference& part : one.memory) {
      out += fmt::format("    {:>11}  {:<40} {:>10} -> {}\n", signed_text(Bytes{part.difference()}), part.name,
                         to_text(Bytes{part.fastest}), to_text(Bytes{part.other}));
    }
  }
  return out;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
  std::string out = table(comparison) + bases(comparison);
  for (const Explanation& one : comparison.explanations) {
    out += "\n" + explanation_text(comparison, one);
  }
  return out;
}

}  // namespace trainyard
