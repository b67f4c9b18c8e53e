#pragma once
// What every rank executes: a host thread that issues operations in order to streams. Ranks that execute the same list
// form a class and share one program. Nothing here knows when things happen.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "sim/base/id.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"
#include "sim/program/variation.hpp"
#include "sim/schedules/pipeline.hpp"
#include "topologies/fabric/routing.hpp"

namespace trainyard {

// What an operation is for; the breakdown of the step is by category.
enum class Category { kCompute, kTensor, kPipeline, kData, kContext, kExpert, kOptimizer, kHost, kOffload, kInput };
inline constexpr NameTable<Category, 10> kCategoryNames{{{{"compute", Category::kCompute},
                                                          {"tp", Category::kTensor},
                                                          {"pp", Category::kPipeline},
                                                          {"dp", Category::kData},
                                                          {"cp", Category::kContext},
                                                          {"ep", Category::kExpert},
                                                          {"optimizer", Category::kOptimizer},
                                                          {"host", Category::kHost},
                                                          {"offload", Category::kOffload},
                                                          {"input", Category::kInput}}}};

// Streams of a rank. Each communicator has its own, as in NCCL under PyTorch.
// Pipeline messages that are posted one by one have a stream for each neighbour and way.
enum class StreamName {
  kCompute,
  kTensor,
  kPipeline,
  kData,
  kContext,
  kExpert,
  kGather,
  kReplica,
  kSendNext,
  kReceivePrevious,
  kSendPrevious,
  kReceiveNext,
  kToHost,      // the copy engine that empties the device
  kFromHost,    // and the one that fills it
  kHostUpdate,  // the optimizer that runs on the host's processors
  kInput,       // and those that make samples
  kInputCopy    // whose copies have the engine that fills the device in turns with others
};
inline constexpr std::size_t kStreams = 17;
inline constexpr NameTable<StreamName, kStreams> kStreamNames{{{{"compute", StreamName::kCompute},
                                                                {"tp", StreamName::kTensor},
                                                                {"pp", StreamName::kPipeline},
                                                                {"dp", StreamName::kData},
                                                                {"cp", StreamName::kContext},
                                                                {"ep", StreamName::kExpert},
                                                                {"dp gather", StreamName::kGather},
                                                                {"dp replicas", StreamName::kReplica},
                                                                {"pp send next", StreamName::kSendNext},
                                                                {"pp receive previous", StreamName::kReceivePrevious},
                                                                {"pp send previous", StreamName::kSendPrevious},
                                                                {"pp receive next", StreamName::kReceiveNext},
                                                                {"copy to host", StreamName::kToHost},
                                                                {"copy from host", StreamName::kFromHost},
                                                                {"host update", StreamName::kHostUpdate},
                                                                {"input", StreamName::kInput},
                                                                {"copy samples", StreamName::kInputCopy}}}};

// What processors of the host work on is nobody's GPU.
constexpr bool is_on_host_processors(StreamName stream) {
  return stream == StreamName::kHostUpdate || stream == StreamName::kInput;
}
// Whether a host that waits for its device waits for this: samples of later batches are nothing to the device.
constexpr bool is_awaited_with_device(StreamName stream) {
  return stream != StreamName::kInput && stream != StreamName::kInputCopy;
}

using CommunicationId = Id<struct CommunicationTag>;

using Seconds2 = decltype(Seconds{} * Seconds{});

// A run of kernels issued one after the other to one stream with nothing between them. With host issue times h_i and
// device times d_i the pair (host, device) advances by a max-plus map, and such maps compose, so three numbers describe
// any run exactly: the host is busy for `host`; the device ends at max(device start + `device`, host start +
// `critical`).
struct KernelRun {
  Seconds host{};
  Seconds device{};
  Seconds critical{};
  Seconds critical_device{};  // what of `critical` the device works: the rest is issue
  std::int32_t kernels = 0;
  KernelSensitivity sensitivity{};  // of the whole run
  Seconds2 device_squares{};        // sum of the squares of the kernels' device times

  // Appends one kernel: it cannot start before it is issued nor before its predecessor ends.
  void append(Seconds kernel_host, Seconds kernel_device, const KernelSensitivity& kernel_sensitivity = {}) {
    const Seconds behind_others = critical + kernel_device;
    const Seconds when_issued = host + kernel_host + kernel_device;
    critical_device = behind_others < when_issued ? kernel_device : critical_device + kernel_device;
    critical = max(behind_others, when_issued);
    host += kernel_host;
    device += kernel_device;
    device_squares += kernel_device * kernel_device;
    sensitivity.multiprocessors += kernel_sensitivity.multiprocessors;
    sensitivity.memory += kernel_sensitivity.memory;
    ++kernels;
  }
  // `count` kernels of equal length, one after the other, 1 or more.
  void append_equal(double count, Seconds kernel_host, Seconds kernel_device,
                    const KernelSensitivity& kernel_sensitivity = {}) {
    append(kernel_host, kernel_device, kernel_sensitivity);
    const double more = count - 1.0;
    const Seconds behind_others = critical + kernel_device * more;
    const Seconds when_issued = host + kernel_host * more + kernel_device;
    critical_device = behind_others < when_issued ? kernel_device : critical_device + kernel_device * more;
    critical = max(behind_others, when_issued);
    host += kernel_host * more;
    device += kernel_device * more;
    device_squares += kernel_device * kernel_device * more;
    sensitivity.multiprocessors += kernel_sensitivity.multiprocessors * more;
    sensitivity.memory += kernel_sensitivity.memory * more;
    constexpr double kMostKernels = 2e9;
    kernels = static_cast<std::int32_t>(std::min(kMostKernels, kernels + more));
  }
  // As many kernels of equal length average what varies between them out as much as these do.
  double equal_kernels() const { return device_squares.value > 0.0 ? device * device / device_squares : 1.0; }
  // Where every kernel takes `slowness` times as long `device` is in proportion. For which kernel the device waits
  // longest may change with it: to the first, when the device falls behind its host. Kernels in between are left out.
  Seconds critical_at(double slowness) const {
    if (slowness == 1.0) {
      return critical;
    }
    const Seconds first_issued = host / std::max(1.0, static_cast<double>(kernels));
    return max(critical + critical_device * (slowness - 1.0), first_issued + device * slowness);
  }
};

// Of an all-to-all-v: members of a group, by their place in it, and what one sends the other.
struct MemberTransfer {
  std::int32_t from = 0;
  std::int32_t to = 0;
  Bytes bytes{};
};

// A communication that groups of ranks do again and again: a collective of a process group, or a message from one rank
// to another. The n-th call of one member meets the n-th call of the others.
struct Communication {
  std::string name;
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes size{};                             // as nccl-tests counts it
  std::vector<std::vector<RankId>> groups;  // disjoint; for send/recv {source, destination}
  std::vector<MemberTransfer> transfers;    // of an all-to-all-v, the same in every group
  std::optional<HostWay> host;              // a copy between each rank, a group by itself, and its host
};

enum class OperationKind {
  kKernels,        // a run of kernels on a stream
  kCommunication,  // one or more communications that start together and end together, on a stream
  kHostWork,       // only the host is busy
  kHostWait        // the host waits for the operations it names, or for everything on the device issued so far
};

struct Operation {
  OperationKind kind = OperationKind::kKernels;
  Category category = Category::kCompute;
  StreamName stream = StreamName::kCompute;
  std::int16_t chunk = -1;        // model chunk of the stage; -1 where it has no meaning
  std::optional<PassKind> pass;   // that it belongs to
  std::int32_t micro_batch = -1;  // likewise
  std::int32_t name = 0;          // index into Program::names
  KernelRun run;                  // of kKernels; of the others only `host` counts
  std::uint32_t first_wait = 0;   // into RankProgram::waits: operations of other streams that must be over first;
                                  // of a host wait: those it waits for, none where it waits for the device
  std::uint32_t waits = 0;
  std::uint32_t first_communication = 0;  // into RankProgram::communications
  std::uint32_t communications = 0;
};

// What kernels and collectives share on a rank. No multiprocessors: nothing, both run as if alone.
struct SharedGpu {
  int multiprocessors = 0;
  BytesPerSecond memory_bandwidth{};
};

struct RankProgram {
  std::vector<Operation> operations;  // in the order of issue
  std::vector<OperationId> waits;
  std::vector<CommunicationId> communications;
  SharedGpu gpu{};
  std::int32_t gpu_kind = 0;  // equal numbers, equal GPUs
};

struct Program {
  std::vector<std::string> names;
  std::vector<Communication> communications;
  std::vector<RankProgram> classes;
  std::vector<std::string> class_names;
  std::vector<ClassId> class_of;  // of every rank
  Variation variation;

  // Whether ranks have different GPUs.
  bool mixed() const {
    return std::any_of(classes.begin(), classes.end(),
                       [&](const RankProgram& one) { return one.gpu_kind != classes.front().gpu_kind; });
  }

  // How many times as long as the cost model says the kernels of an operation take on the rank's own GPU. What runs on
  // the host's processors is nobody's GPU.
  double slowness(RankId rank, const RankProgram& program, std::size_t operation) const {
    if (!variation.any()) {
      return 1.0;
    }
    const Operation& one = program.operations[operation];
    return is_on_host_processors(one.stream) ? 1.0
                                             : kernel_slowness(variation, rank, operation, one.run.equal_kernels());
  }
  std::size_t ranks() const { return class_of.size(); }
};

}  // namespace trainyard
