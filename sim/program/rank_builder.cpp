#include "sim/program/rank_builder.hpp"

namespace trainyard {

std::int32_t NameIndex::index(const std::string& name) {
  const auto [entry, is_new] = indices_.try_emplace(name, static_cast<std::int32_t>(names_.size()));
  if (is_new) {
    names_.push_back(name);
  }
  return entry->second;
}

OperationId RankBuilder::add(const Operation& described) {
  Operation& operation = program_.operations.emplace_back(described);
  operation.micro_batch = label_.micro_batch;
  operation.chunk = label_.chunk;
  operation.pass = label_.pass;
  operation.first_wait = static_cast<std::uint32_t>(program_.waits.size());
  for (const OperationId earlier : frontier_) {
    // Within a stream order alone is enough.
    if (program_.operations[earlier.index()].stream != operation.stream) {
      program_.waits.push_back(earlier);
      ++operation.waits;
    }
  }
  return OperationId::from(program_.operations.size() - 1);
}

void RankBuilder::kernels(Category category, std::int32_t name, const KernelRun& run) {
  const OperationId id = add({.kind = OperationKind::kKernels,
                              .category = category,
                              .stream = StreamName::kCompute,
                              .name = name,
                              .run = run});
  frontier_.assign(1, id);
}

void RankBuilder::communicate(Category category, StreamName stream, std::int32_t name, Seconds host,
                              std::span<const CommunicationId> communications) {
  Operation operation{.kind = OperationKind::kCommunication,
                      .category = category,
                      .stream = stream,
                      .name = name,
                      .run = {.host = host},
                      .first_communication = static_cast<std::uint32_t>(program_.communications.size()),
                      .communications = static_cast<std::uint32_t>(communications.size())};
  program_.communications.insert(program_.communications.end(), communications.begin(), communications.end());
  frontier_.assign(1, add(operation));
}

OperationId RankBuilder::communicate_async(Category category, StreamName stream, std::int32_t name, Seconds host,
                                           CommunicationId communication) {
  set_aside_ = frontier_;
  communicate(category, stream, name, host, {&communication, 1});
  std::swap(frontier_, set_aside_);
  return OperationId::from(program_.operations.size() - 1);
}

OperationId RankBuilder::launch(Category category, StreamName stream, const std::string& name, Seconds host,
                                CommunicationId communication, std::span<const OperationId> after) {
  std::vector<OperationId> before(after.begin(), after.end());
  std::swap(frontier_, before);
  communicate(category, stream, name, host, {&communication, 1});
  std::swap(frontier_, before);
  return OperationId::from(program_.operations.size() - 1);
}

OperationId RankBuilder::on_host_processors(StreamName stream, Category category, const std::string& name, Seconds time,
                                            std::span<const OperationId> after) {
  std::vector<OperationId> before(after.begin(), after.end());
  std::swap(frontier_, before);
  KernelRun run;
  run.append({}, time);
  const OperationId id = add({.kind = OperationKind::kKernels,
                              .category = category,
                              .stream = stream,
                              .name = names_->index(name),
                              .run = run});
  std::swap(frontier_, before);
  return id;
}

void RankBuilder::host_work(const std::string& name, Seconds host) {
  if (host > Seconds{}) {
    program_.operations.push_back({.kind = OperationKind::kHostWork,
                                   .category = Category::kHost,
                                   .chunk = label_.chunk,
                                   .micro_batch = label_.micro_batch,
                                   .name = names_->index(name),
                                   .run = {.host = host}});
  }
}

void RankBuilder::host_wait(const std::string& name) {
  program_.operations.push_back({.kind = OperationKind::kHostWait,
                                 .category = Category::kHost,
                                 .chunk = label_.chunk,
                                 .micro_batch = label_.micro_batch,
                                 .name = names_->index(name)});
}

void RankBuilder::host_wait_for_flow(const std::string& name) {
  host_wait(name);
  Operation& wait = program_.operations.back();
  wait.first_wait = static_cast<std::uint32_t>(program_.waits.size());
  wait.waits = static_cast<std::uint32_t>(frontier_.size());
  program_.waits.insert(program_.waits.end(), frontier_.begin(), frontier_.end());
}

}  // namespace trainyard
