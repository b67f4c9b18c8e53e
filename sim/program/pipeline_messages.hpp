#pragma once
// What one stage exchanges with its neighbours, as operations.
#include <cstdint>
#include <map>
#include <string>

#include "sim/program/communicators.hpp"
#include "sim/program/rank_builder.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

class PipelineMessages {
 public:
  PipelineMessages(const Scenario& scenario, const Layout& layout, std::int32_t stage, Communicators& communicators,
                   RankBuilder& builder);

  // Messages that complete together before anything goes on.
  void exchange(const Action& action);
  // One message on the stream of its neighbour and way; a send waits for what was computed so far.
  void post(const Message& message);
  // What follows waits for the input of a pass, if that was posted.
  void await_input(const StagePass& pass);

 private:
  void exchange_announced(const Action& action);
  bool gathers_after_receive() const;
  Bytes whole(const Message& message) const;
  Bytes size(const Message& message) const;
  StreamName stream_of(const Message& message) const;
  void gather_received(const Message& message);

  const Scenario& scenario_;
  const Layout& layout_;
  ScheduleShape shape_;
  std::int32_t stage_;
  Communicators& communicators_;
  RankBuilder& builder_;
  std::map<Message, OperationId> posted_;  // receives that nobody waited for yet
};

}  // namespace trainyard
