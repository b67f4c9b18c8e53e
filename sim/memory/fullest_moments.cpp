#include "sim/memory/fullest_moments.hpp"

#include <algorithm>
#include <functional>

#include "sim/memory/replay.hpp"

namespace trainyard {
namespace {

// Keeps the moments that no other one covers, in their order.
class MomentCollector {
  auto keeping() {
    return [this](const PassesUnderWay& now) { keep(now); };
  }

 public:
  explicit MomentCollector(const std::vector<std::size_t>& counted_as)
      : counted_as_(counted_as), passes_(1 + *std::max_element(counted_as.begin(), counted_as.end())) {
    keep(passes_.now());
  }

  void begin_forward(std::size_t chunk) { passes_.begin_forward(counted_as_[chunk], keeping()); }
  void begin_backward(std::size_t chunk) { passes_.begin_backward(counted_as_[chunk], keeping()); }
  void end_backward(std::size_t chunk) { passes_.end_backward(counted_as_[chunk], keeping()); }
  void end_input_gradient(std::size_t chunk) { passes_.end_input_gradient(counted_as_[chunk], keeping()); }
  void end_weight_gradient(std::size_t chunk) { passes_.end_weight_gradient(counted_as_[chunk], keeping()); }
  void release_gradients() { passes_.release_gradients(); }

  std::vector<PassesUnderWay> take() { return std::move(moments_); }

 private:
  void keep(const PassesUnderWay& now) {
    // What covers a moment tends to have come shortly before.
    if (std::any_of(moments_.rbegin(), moments_.rend(), [&](const auto& one) { return covers(one, now); })) {
      return;
    }
    std::erase_if(moments_, [&](const PassesUnderWay& one) { return covers(now, one); });
    moments_.push_back(now);
  }

  const std::vector<std::size_t>& counted_as_;
  PassCounter passes_;
  std::vector<PassesUnderWay> moments_;
};

}  // namespace

std::vector<PassesUnderWay> fullest_moments(const PassOrder& order, const std::vector<std::size_t>& counted_as) {
  MomentCollector collector(counted_as);
  replay(order, collector);
  return collector.take();
}

bool covers(const PassesUnderWay& more, const PassesUnderWay& less) {
  const auto no_less = [](const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), std::greater_equal<>());
  };
  return more.most_held >= less.most_held && more.has_gradients >= less.has_gradients && more.follows >= less.follows &&
         no_less(more.held, less.held) && no_less(more.backward, less.backward) && no_less(more.halfway, less.halfway);
}

}  // namespace trainyard
