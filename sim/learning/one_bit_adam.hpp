#pragma once
// Adam whose variance stays as it is after a warm-up, from when on workers send signs of their momenta.
#include <span>
#include <vector>

#include "sim/learning/problem.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// Source: Tang et al., "1-bit Adam", ICML 2021, arXiv 2102.02888, algorithm 1: as there, moments keep their bias. Both
// the workers and the one that averages feed back what their signs leave out.
class OneBitAdam {
 public:
  OneBitAdam(double learning_rate, int warm_up, std::size_t workers)
      : rate_(learning_rate), warm_up_(warm_up), left_out_(workers) {}

  // `gradients`: of the workers of the updates, in their order.
  void step(Parameters& parameters, std::span<const Update> updates, const std::vector<Parameters>& gradients);

 private:
  Parameters momentum_of(const Parameters& gradient) const;
  void send_momenta(std::span<const Update> updates, const std::vector<Parameters>& gradients);

  double rate_;
  int warm_up_;
  int steps_ = 0;
  Parameters momentum_;
  Parameters variance_;
  std::vector<Parameters> left_out_;  // by worker
  Parameters left_out_of_mean_;
};

}  // namespace trainyard
