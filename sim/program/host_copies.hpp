#pragma once
// Copies between the ranks of a stage and their hosts, beside the data flow.
#include <span>
#include <string>

#include "sim/program/communicators.hpp"
#include "sim/program/rank_builder.hpp"

namespace trainyard {

struct HostCopies {
  const Scenario& scenario;
  std::int32_t stage;
  Communicators& communicators;
  RankBuilder& builder;

  // Waits for `after` alone, and for the copies before it on its engine; the host issues it like a kernel.
  OperationId launch(HostWay way, Category category, const std::string& name, Bytes size,
                     std::span<const OperationId> after) const;
  // The same for samples, which come on a stream of their own.
  OperationId launch_samples(const std::string& name, Bytes size, std::span<const OperationId> after) const;
};

}  // namespace trainyard
