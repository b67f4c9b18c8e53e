#include "sim/learning/message_mean.hpp"

#include <algorithm>
#include <utility>

#include "sim/updates/compressors/table.hpp"

namespace trainyard {
namespace {

constexpr std::uint64_t kMessageKey = 0x6d657373616765;  // apart from what mini-batches are drawn by

}  // namespace

Parameters weighted_mean(std::span<const Update> step, const std::vector<Parameters>& given) {
  double weights = 0.0;
  for (const Update& update : step) {
    weights += update.weight;
  }
  Parameters out(given.front().size());
  for (std::size_t u = 0; u < step.size(); ++u) {
    const double share = step[u].weight / weights;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += given[u][i] * share;
    }
  }
  return out;
}

MessageMean::MessageMean(const Compression& compression, Matrices matrices, std::size_t workers, std::uint64_t seed)
    : compression_(compression), matrices_(matrices), drawn_(Draw(seed).of(kMessageKey)), left_out_(workers) {}

void MessageMean::remember(Parameters& given, int worker) {
  Parameters& left_out = left_out_[static_cast<std::size_t>(worker)];
  left_out.resize(given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    given[i] += left_out[i];
  }
  left_out = given;
}

Parameters MessageMean::mean(std::span<const Update> step, std::vector<Parameters> given) {
  if (compression_.compressor == Compressor::kNone) {
    return weighted_mean(step, given);
  }
  const CompressorTraits& traits = compressor_traits(compression_.compressor);
  const bool feeds_back = compression_.feedback == ErrorFeedback::kPresent;
  const Draw of_all = drawn_.of(messages_++);
  for (std::size_t u = 0; u < step.size(); ++u) {
    if (feeds_back) {
      remember(given[u], step[u].worker);
    }
    if (traits.part == CompressedPart::kEach) {
      // Messages that may be added up are drawn alike.
      const Draw drawn = traits.exchange == MessageExchange::kAllReduce ? of_all : of_all.of(u);
      traits.send(compression_, matrices_, {.drawn = drawn, .kept = &kept_}, given[u]);
      values_ += static_cast<double>(given[u].size());
      sent_ += static_cast<double>(std::count_if(given[u].begin(), given[u].end(), [](double v) { return v != 0.0; }));
    }
  }
  const bool is_mean = traits.part == CompressedPart::kMean;
  Parameters out = weighted_mean(step, given);
  if (is_mean) {
    traits.send(compression_, matrices_, {.drawn = of_all, .kept = &kept_}, out);
  }
  for (std::size_t u = 0; u < step.size() && feeds_back; ++u) {
    Parameters& left_out = left_out_[static_cast<std::size_t>(step[u].worker)];
    for (std::size_t i = 0; i < out.size(); ++i) {
      left_out[i] -= is_mean ? out[i] : given[u][i];
    }
  }
  return out;
}

std::optional<double> MessageMean::sent_share() const {
  return values_ > 0.0 ? std::optional(sent_ / values_) : std::nullopt;
}

}  // namespace trainyard
