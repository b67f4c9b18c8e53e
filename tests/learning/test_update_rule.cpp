#include <doctest/doctest.h>

#include "sim/learning/update_rule.hpp"

using namespace trainyard;

namespace test_update_rule {

using doctest::Approx;

TEST_CASE("two steps of every rule, by hand") {
  // Gradients 2 and then 1, rate 0.1, from 0.
  const auto after = [](UpdateRule rule) {
    Updater updater(rule, 0.1);
    Parameters x = {0.0};
    updater.step(x, {2.0});
    updater.step(x, {1.0});
    return x[0];
  };
  CHECK(after(UpdateRule::kSgd) == Approx(-0.3));
  // v = 2, then 1.8 + 1.
  CHECK(after(UpdateRule::kMomentum) == Approx(-0.2 - 0.28));
  // By 2 + 0.9 x 2, then 1 + 0.9 x 2.8.
  CHECK(after(UpdateRule::kNesterov) == Approx(-0.38 - 0.352));
  // As adam, but what there was shrinks by 0.01 x 0.1 before the second step.
  CHECK(after(UpdateRule::kAdamw) == Approx(after(UpdateRule::kAdam) + 0.1 * 0.001).epsilon(1e-9));
  // The first step is the rate. Then m = 0.28 / 0.19 and v = (0.999 x 0.004 + 0.001) / 0.001999.
  CHECK(after(UpdateRule::kAdam) == Approx(-0.1 - 0.1 * 1.4736842 / 1.5807).epsilon(1e-4));
}

}  // namespace test_update_rule
