#pragma once
// How a gradient changes the parameters.
#include "sim/base/name_table.hpp"
#include "sim/learning/problem.hpp"

namespace trainyard {

enum class UpdateRule { kSgd, kMomentum, kAdam };
inline constexpr NameTable<UpdateRule, 3> kUpdateRuleNames{
    {{{"sgd", UpdateRule::kSgd}, {"momentum", UpdateRule::kMomentum}, {"adam", UpdateRule::kAdam}}}};

class Updater {
 public:
  Updater(UpdateRule rule, double learning_rate) : rule_(rule), rate_(learning_rate) {}

  // sgd: x -= a g. momentum: v = 0.9 v + g, x -= a v (Polyak 1964). adam: Kingma and Ba, ICLR 2015, with beta 0.9 and
  // 0.999, epsilon 1e-8 and the moments' bias taken out.
  void step(Parameters& parameters, const Parameters& gradient);

 private:
  void adam_step(Parameters& parameters, const Parameters& gradient);

  UpdateRule rule_;
  double rate_;
  int steps_ = 0;
  Parameters first_;  // moments, empty before the first step
  Parameters second_;
};

}  // namespace trainyard
