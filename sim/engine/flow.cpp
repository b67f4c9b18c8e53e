// The fluid engine: communications are flows on the folded fabric.
#include <optional>

#include "sim/base/error.hpp"
#include "sim/engine/event_run.hpp"
#include "sim/engine/simulate.hpp"

namespace trainyard {
namespace {

// One slow GPU tells all ranks of its rings apart by their distance from it, because each shares its links with flows
// of a neighbour that is another class. Mostly no flow holds another up, and then it makes no difference with whom a
// link is shared. With so many classes that is worth a try; it must simulate far fewer, for it may be in vain.
constexpr std::size_t kManyClasses = 512;
constexpr std::size_t kTimesFewer = 4;

std::optional<Timeline> simulate_unshared(const Program& program, const Fabric& fabric, LaidOut& laid,
                                          std::size_t classes) {
  const bool unequal_gpus = !program.variation.slowness.empty() && !program.variation.jitters();
  if (!unequal_gpus || classes < kManyClasses) {
    return std::nullopt;
  }
  limit_by_routes(laid, fabric);
  const Quotient quotient = fold_laid_out(program, fabric, laid, Fold::kOn, LinkSharing::kNone);
  return quotient.ranks.size() * kTimesFewer <= classes ? run_unshared_events(program, fabric, quotient) : std::nullopt;
}

}  // namespace

Timeline simulate_flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold) {
  TY_ASSERT(program.ranks() <= fabric.devices());
  std::optional<LaidOut> laid = lay_out(program, fabric, costs);
  const Quotient quotient = fold_laid_out(program, fabric, *laid, fold);
  if (fold == Fold::kOn) {
    if (auto timeline = simulate_unshared(program, fabric, *laid, quotient.ranks.size())) {
      return *std::move(timeline);
    }
  }
  laid.reset();  // it is as large as the whole fabric
  return run_events(program, fabric, quotient);
}

}  // namespace trainyard
