#pragma once
// The price of a communication on a fabric: the second of the house's two virtual interfaces.
#include "sim/collectives/base/collective.hpp"

namespace trainyard {

class NetworkCosts {
 public:
  virtual ~NetworkCosts() = default;
  virtual CollectivePlan plan(const CollectiveRequest& request) const = 0;
};

}  // namespace trainyard
