#pragma once
// The mean of what the updates of a version give, as it arrives: compressed, with what was left out before.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/learning/problem.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// By the updates' weights, in their order; one update at least.
Parameters weighted_mean(std::span<const Update> step, const std::vector<Parameters>& given);

class MessageMean {
 public:
  MessageMean(const Compression& compression, Matrices matrices, std::size_t workers, std::uint64_t seed);

  // With error feedback what a message leaves out is kept for the worker's next: algorithm 2 of arXiv 1901.09847 (of a
  // constant rate, which then may stand before or behind the compressor); of a compressed mean what the mean leaves out
  // of the worker's own (algorithm 2 of arXiv 1905.13727).
  Parameters mean(std::span<const Update> step, std::vector<Parameters> given);

  std::optional<double> sent_share() const;

 private:
  void remember(Parameters& given, int worker);

  Compression compression_;
  Matrices matrices_;
  Draw drawn_;
  std::uint64_t messages_ = 0;        // of all workers together
  std::vector<Parameters> left_out_;  // by worker; empty before its first message
  Values kept_;
  double values_ = 0.0;  // of messages of a worker each
  double sent_ = 0.0;
};

}  // namespace trainyard
