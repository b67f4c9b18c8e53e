#pragma once
// Whether measurements agree with themselves.
#include <map>
#include <string>
#include <vector>

namespace trainyard {

// Repeats of one configuration may differ by this factor; more, and no fit can serve them. Source: repeated runs on
// shared clusters differ by 5 to 25 % (validation/published/runs/README.md); half as much again is another state of the
// machine.
inline constexpr double kMostRepeatRatio = 1.5;

// Times of each configuration, in seconds. Throws UserError that names the configurations which disagree most.
void check_repeats(const std::string& file, const std::map<std::string, std::vector<double>>& times);

}  // namespace trainyard
