#include "sim/schedules/v_pattern.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sim/schedules/weight_filler.hpp"

namespace trainyard {
namespace {

constexpr std::int32_t kPassesPerMicroBatch = 6;
constexpr std::array<std::pair<PassKind, std::int32_t>, 4> kPassesOfBlock = {
    {{PassKind::kForward, 0}, {PassKind::kForward, 1}, {PassKind::kInputGradient, 1}, {PassKind::kInputGradient, 0}}};

}  // namespace

std::vector<PassOrder> repeat_blocks(const std::vector<VBlock>& blocks, const ScheduleShape& shape,
                                     std::int32_t most_held) {
  std::vector<PassOrder> orders;
  for (const VBlock& block : blocks) {
    std::vector<std::pair<std::int32_t, StagePass>> timed;
    for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
      for (std::size_t i = 0; i < block.size(); ++i) {
        const auto [kind, chunk] = kPassesOfBlock[i];
        timed.emplace_back(block[i] + kPassesPerMicroBatch * m, StagePass{kind, m, chunk});
      }
    }
    std::stable_sort(timed.begin(), timed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    PassOrder& order = orders.emplace_back();
    for (const auto& [time, pass] : timed) {
      order.push_back(pass);
    }
  }
  return fill_with_weight_gradients(orders, shape, most_held);
}

}  // namespace trainyard
