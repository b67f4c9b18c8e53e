#include "sim/program/host_copies.hpp"

namespace trainyard {

OperationId HostCopies::launch(HostWay way, Category category, const std::string& name, Bytes size,
                               std::span<const OperationId> after) const {
  const StreamName stream = way == HostWay::kToHost ? StreamName::kToHost : StreamName::kFromHost;
  return builder.launch(category, stream, name, scenario.framework.host.forward_operator,
                        communicators.host_copy(stage, way, size), after);
}

OperationId HostCopies::launch_samples(const std::string& name, Bytes size, std::span<const OperationId> after) const {
  return builder.launch(Category::kInput, StreamName::kInputCopy, name, scenario.framework.host.forward_operator,
                        communicators.host_copy(stage, HostWay::kFromHost, size), after);
}

}  // namespace trainyard
