#pragma once
// How a gradient changes the parameters.
#include "sim/base/name_table.hpp"
#include "sim/learning/problem.hpp"

namespace trainyard {

enum class UpdateRule { kSgd, kMomentum, kNesterov, kAdam, kAdamw };
inline constexpr NameTable<UpdateRule, 5> kUpdateRuleNames{{{{"sgd", UpdateRule::kSgd},
                                                             {"momentum", UpdateRule::kMomentum},
                                                             {"nesterov", UpdateRule::kNesterov},
                                                             {"adam", UpdateRule::kAdam},
                                                             {"adamw", UpdateRule::kAdamw}}}};
inline constexpr double kUsualMomentum = 0.9;

class Updater {
 public:
  Updater(UpdateRule rule, double learning_rate, double momentum = kUsualMomentum)
      : rule_(rule), rate_(learning_rate), momentum_(momentum) {}

  // sgd: x -= a g. momentum: v = m v + g, x -= a v (Polyak 1964). nesterov: x -= a (g + m v) with that v (Sutskever et
  // al., ICML 2013, as torch.optim.SGD has it). adam: Kingma and Ba, ICLR 2015, with beta 0.9 and 0.999, epsilon 1e-8
  // and the moments' bias taken out. adamw: the same after x -= 0.01 a x (Loshchilov and Hutter, ICLR 2019; the decay
  // is torch.optim.AdamW's).
  void step(Parameters& parameters, const Parameters& gradient);

 private:
  void adam_step(Parameters& parameters, const Parameters& gradient);

  UpdateRule rule_;
  double rate_;
  double momentum_;
  int steps_ = 0;
  Parameters first_;  // moments, empty before the first step
  Parameters second_;
};

}  // namespace trainyard
