#pragma once
// What a collective means on a fabric: which bytes flow where, after how much latency, on how many SMs.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/collective_algorithm.hpp"
#include "sim/base/id.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"
#include "topologies/cluster.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// How the user's buffers reach the wire: copied through the library's slots by SMs, registered with the library so that
// peers, switches and NICs read and write them in place, or moved by copy engines without SMs.
enum class BufferUse { kCopied, kRegistered, kCopyEngine };
inline constexpr NameTable<BufferUse, 3> kBufferUseNames{{{{"copied", BufferUse::kCopied},
                                                           {"registered", BufferUse::kRegistered},
                                                           {"copy_engine", BufferUse::kCopyEngine}}}};

// One message of an all-to-all-v.
struct Transfer {
  DeviceId from;
  DeviceId to;
  Bytes bytes{};
};

struct CollectiveRequest {
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes size{};                       // as nccl-tests counts it (see CollectiveOp)
  std::span<const DeviceId> members;  // in group order; send/recv: from each to the next (point_to_point.hpp)
  BufferUse buffers = BufferUse::kCopied;
  std::span<const Transfer> transfers;  // of an all-to-all-v; empty: the even exchange of `size`
  int calls = 1;                        // that the library has aggregated into this one (grouped.hpp)
  std::optional<HostWay> host;          // no collective: `size` is copied between the only member and its host
};

// Bytes that pass from one device to another during the whole collective, all channels together; of a copy to or from
// the host both ends are the device, and the route says the rest.
struct Flow {
  DeviceId from;
  DeviceId to;
  std::vector<LinkId> route;
  Bytes bytes{};
  BytesPerSecond rate_limit{};  // the most the algorithm's channels can push here, whatever the links could carry
};

// The collective as one fluid: wait `latency`, then all flows start together; it is over when the last one ends.
struct CollectivePlan {
  std::optional<Algorithm> algorithm;  // absent: nothing moves, or a copy to or from the host
  std::optional<Protocol> protocol;
  int channels = 0;
  int sms = 0;  // of every member, held from start to end (footprint.hpp): the channels, fewer with registered buffers
  Seconds latency{};
  Bytes memory_traffic{};  // read plus written in each member's memory while the flows run (footprint.hpp)
  std::vector<Flow> flows;
};

struct CollectiveCalibration;

// Operations that the forced algorithm does not do.
enum class Unserved { kRefused, kOwnChoice };

// What a user may force; what is absent is chosen as NCCL would.
struct CollectiveOptions {
  std::string nccl_version;  // "2.18", ...; empty: the one of the cluster's collective profile
  const CollectiveCalibration* calibration = nullptr;  // absent: the one the cluster names
  std::optional<Algorithm> algorithm;
  Unserved unserved = Unserved::kRefused;
  std::string algorithm_file = "--algorithm";  // what faults of the forced algorithm name
  std::string algorithm_pointer;
  std::optional<Protocol> protocol;
  std::optional<int> channels;
  std::optional<int> communicator;  // ranks of the communicator a send/recv belongs to; absent: a node's GPUs
  std::vector<Algorithm> excluded;  // out of the question, as NCCL_ALGO=^NVLS or a type they cannot reduce
};

// The choice and its time in the tuner's two terms, before calibration.
struct CollectiveEstimate {
  std::optional<Algorithm> algorithm;
  std::optional<Protocol> protocol;
  int channels = 0;
  int ranks = 0;
  int nodes = 0;
  Seconds latency{};
  Seconds transfer{};
  Seconds path{};  // what the fabric's paths add to the latency, whatever the calibration (path_latency.hpp)
};

// Time of the plan alone on an idle fabric: its flows share links max-min fairly among themselves.
Seconds uncontended_time(const CollectivePlan& plan, const Fabric& fabric);

}  // namespace trainyard
