#pragma once
// The communications of a program, made when first asked for.
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "sim/base/parallel_group.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/program.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

// How long a host issues a communication among `members` ranks, its library's checks of collectives included.
Seconds issue_time(const Scenario& scenario, CollectiveOp op, std::size_t members);

class Communicators {
 public:
  Communicators(const Scenario& scenario, const Layout& layout);

  // A collective over all groups of a kind. kModel is tp x pp; kEmbedding pairs first and last stage.
  CommunicationId collective(ParallelGroup kind, CollectiveOp op, Bytes size);
  // The same for the groups of one stage only; collectives of different stages may differ in size.
  CommunicationId stage_collective(ParallelGroup kind, std::int32_t stage, CollectiveOp op, Bytes size);
  // One step of a ring within the groups: every member sends `size` to the next and receives as much.
  CommunicationId ring_step(ParallelGroup kind, Bytes size);
  // A copy between every rank of a stage and its host.
  CommunicationId host_copy(std::int32_t stage, HostWay way, Bytes size);
  // How long the host of a member issues it; of a collective or a message.
  Seconds issue_time(CommunicationId id) const;
  // A message across the boundary in front of a model chunk; `size` is what one rank sends.
  CommunicationId message(const Message& message, Bytes size);

  std::vector<Communication> take() { return std::move(communications_); }

 private:
  using Key = std::tuple<int, std::int32_t, std::int32_t, int, double>;
  CommunicationId add(const Key& key, Communication communication);
  std::vector<std::vector<RankId>> groups(ParallelGroup kind) const;
  std::vector<std::vector<RankId>> mirrors() const;
  std::int32_t stage_of_rank(RankId rank) const;

  const Layout* layout_;
  const Scenario* scenario_;
  ScheduleShape shape_;
  std::size_t shard_;          // ranks of a shard group
  std::size_t expert_shard_;   // and of one of experts
  std::size_t context_inner_;  // ranks of a kContextInner group
  std::map<Key, CommunicationId> known_;
  std::vector<Communication> communications_;
};

}  // namespace trainyard
