#pragma once
// Builds the operations of one rank class in program order and keeps the dependencies between streams.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/program/program.hpp"

namespace trainyard {

// Operation names shared by all classes of a program.
class NameIndex {
 public:
  std::int32_t index(const std::string& name);
  std::vector<std::string> take() { return std::move(names_); }

 private:
  std::map<std::string, std::int32_t> indices_;
  std::vector<std::string> names_;
};

// Which pass the operations being added belong to.
struct PassLabel {
  std::int32_t micro_batch = -1;
  std::int16_t chunk = -1;
  std::optional<PassKind> pass;
};

// The data flow runs through the "frontier": the operations that the next one must wait for. A blocking operation
// replaces it; an asynchronous communication leaves it alone and joins it later.
class RankBuilder {
 public:
  explicit RankBuilder(NameIndex& names) : names_(&names) {}

  void set_label(PassLabel label) { label_ = label; }
  // The same for operations that belong to no pass among those of one; returns the present label.
  PassLabel exchange_label(PassLabel label) { return std::exchange(label_, label); }

  // Operations are named by text, or by the number that the text has: whoever adds many keeps it.
  std::int32_t name(const std::string& text) { return names_->index(text); }

  void kernels(Category category, std::int32_t name, const KernelRun& run);
  void kernels(Category category, const std::string& name, const KernelRun& run) {
    kernels(category, names_->index(name), run);
  }
  // Communications that start together; what follows waits for them.
  void communicate(Category category, StreamName stream, std::int32_t name, Seconds host,
                   std::span<const CommunicationId> communications);
  void communicate(Category category, StreamName stream, const std::string& name, Seconds host,
                   std::span<const CommunicationId> communications) {
    communicate(category, stream, names_->index(name), host, communications);
  }
  // As above, but only operations after join() wait for it.
  OperationId communicate_async(Category category, StreamName stream, std::int32_t name, Seconds host,
                                CommunicationId communication);
  OperationId communicate_async(Category category, StreamName stream, const std::string& name, Seconds host,
                                CommunicationId communication) {
    return communicate_async(category, stream, names_->index(name), host, communication);
  }
  // A communication beside the data flow: it waits for `after` alone (and for its stream).
  OperationId launch(Category category, StreamName stream, const std::string& name, Seconds host,
                     CommunicationId communication, std::span<const OperationId> after);
  // Work of the host's processors for the device, beside the data flow; it waits for `after` alone (and for its
  // stream, one of the host's).
  OperationId on_host_processors(StreamName stream, Category category, const std::string& name, Seconds time,
                                 std::span<const OperationId> after);
  // What the next operation would wait for.
  const std::vector<OperationId>& frontier() const { return frontier_; }
  // Goes on from another place of the data flow; returns the present one.
  std::vector<OperationId> exchange_frontier(std::vector<OperationId> frontier) {
    return std::exchange(frontier_, std::move(frontier));
  }
  void join(OperationId operation) { frontier_.push_back(operation); }
  void host_work(const std::string& name, Seconds host);
  // The host waits for all streams of the device.
  void host_wait(const std::string& name);
  // The host waits until the data flow has come this far; what runs beside it goes on.
  void host_wait_for_flow(const std::string& name);

  RankProgram take() { return std::move(program_); }

 private:
  OperationId add(const Operation& described);

  NameIndex* names_;
  PassLabel label_;
  RankProgram program_;
  std::vector<OperationId> frontier_;
  std::vector<OperationId> set_aside_;  // the frontier while an operation beside the data flow is added
};

}  // namespace trainyard
