#include "sim/engine/class_streams.hpp"

namespace trainyard {

ClassStreams::ClassStreams(const RankProgram& program)
    : position(program.operations.size(), kOnHost), among_communications(program.operations.size(), 0) {
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication) {
      std::vector<std::uint32_t>& stream = operations[static_cast<std::size_t>(operation.stream)];
      position[i] = static_cast<std::uint32_t>(stream.size());
      stream.push_back(static_cast<std::uint32_t>(i));
    } else if (operation.kind == OperationKind::kHostWait) {
      host_waits.push_back(static_cast<std::uint32_t>(i));
    }
    if (operation.kind == OperationKind::kCommunication) {
      among_communications[i] = static_cast<std::uint32_t>(communications++);
    }
  }
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (!operations[s].empty()) {
      used.push_back(s);
    }
  }
}

}  // namespace trainyard
