#include "validation/tables/repeats.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

struct Disagreement {
  double ratio = 1.0;
  std::string words;
};

constexpr std::size_t kNamed = 3;

}  // namespace

void check_repeats(const std::string& file, const std::map<std::string, std::vector<double>>& times) {
  std::vector<Disagreement> found;
  for (const auto& [configuration, seconds] : times) {
    const auto [shortest, longest] = std::minmax_element(seconds.begin(), seconds.end());
    const double ratio = *longest / *shortest;
    if (ratio > kMostRepeatRatio) {
      found.push_back({ratio, fmt::format("{}: {} and {}", configuration, to_text(Seconds{*shortest}),
                                          to_text(Seconds{*longest}))});
    }
  }
  if (found.empty()) {
    return;
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Disagreement& a, const Disagreement& b) { return a.ratio > b.ratio; });
  std::string worst;
  for (std::size_t i = 0; i < std::min(kNamed, found.size()); ++i) {
    worst += (i == 0 ? "" : "; ") + found[i].words;
  }
  throw UserError({.file = file,
                   .found = fmt::format("{} configurations whose repeats disagree: {}", found.size(), worst),
                   .allowed = fmt::format("repeats within a factor of {}", kMostRepeatRatio),
                   .problem = "the measurements contradict one another",
                   .remedy = "keep those of one state of the machine (clocks, other jobs, software)"});
}

}  // namespace trainyard
