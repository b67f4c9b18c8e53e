// PyTorch's fully sharded data parallelism, full and hybrid. Every unit's parameters are gathered over its shard group
// before its forward pass, freed after it and gathered again for its backward pass (or kept until then); its gradients
// are reduce-scattered as soon as they are computed and, when several groups hold a copy of the model, the shards
// all-reduced over the replicas. Sources: torch/distributed/fsdp/_runtime_utils.py and _flat_param.py (FSDP1),
// torch/distributed/fsdp/_fully_shard (FSDP2).
//
// The host runs ahead of the device, so a gather is limited by memory alone: it waits until the unit
// `gathers_in_flight` before it is freed. In reality the host waits for that and not the stream, which is the same to
// the device as long as the host is ahead. The cast of the local shard before a gather is left out: it moves 1 / ranks
// of what the gather moves.
#include <deque>

#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

// Units whose parameters are gathered together.
struct Group {
  Elements stored;
  Elements trainable;
  std::int32_t chunk = 0;
  bool is_root = false;        // stays gathered from its forward to its backward pass
  std::size_t units = 0;       // that it consists of
  std::size_t units_left = 0;  // whose backward pass of the micro-batch is to come
  std::vector<OperationId> gather;
  bool is_whole = false;  // its parameters are gathered, or the gather is launched
  bool is_unpacked = false;
};

class Fsdp final : public DataParallel {
 public:
  explicit Fsdp(const StrategySite& site) : site_(site) {
    std::optional<std::size_t> root;
    for (std::size_t u = 0; u < site.units().size(); ++u) {
      const ParameterUnit& unit = site.units()[u];
      const bool outer = unit.kind != UnitKind::kLayer && site.options().outer_units == OuterUnits::kRoot;
      if (outer && root && groups_[*root].chunk == unit.chunk) {
        group_of_.push_back(*root);
      } else {
        groups_.push_back({.chunk = unit.chunk, .is_root = outer});
        group_of_.push_back(groups_.size() - 1);
        root = outer ? group_of_.back() : root;
      }
      Group& group = groups_[group_of_.back()];
      group.stored += site.stored(u);
      group.trainable += site.trainable(u);
      ++group.units;
    }
    for (Group& group : groups_) {
      group.units_left = group.units;
    }
  }

  void before_forward(const UnitPass& pass) override { use(group_of_[pass.unit]); }
  void after_forward(const UnitPass& pass) override {
    Group& group = groups_[group_of_[pass.unit]];
    if (!group.is_root && site_.options().reshard == Reshard::kAfterForward) {
      free(group);
    }
  }
  void before_backward(const UnitPass& pass) override {
    use(group_of_[pass.unit]);
    if (site_.options().backward_prefetch == BackwardPrefetch::kPre) {
      prefetch(pass.unit);
    }
  }
  void after_backward(const UnitPass& pass) override {
    Group& group = groups_[group_of_[pass.unit]];
    if (--group.units_left > 0) {
      return;
    }
    group.units_left = group.units;
    free(group);
    if (site_.options().backward_prefetch == BackwardPrefetch::kPost) {
      prefetch(pass.unit);
    }
    if (pass.micro_batch == MicroBatch::kLast || site_.options().gradient_sync == GradientSync::kEveryMicroBatch) {
      reduce(group);
    }
  }
  void after_last_backward() override {
    site_.join(last_scatter_);
    site_.join(last_sum_);
  }
  UpdateShare update_share() const override {
    UpdateShare share = master_shards_update(site_);
    if (shard() > 1) {
      share.norm_over = ParallelGroup::kShard;
    }
    return share;
  }

 private:
  std::int64_t shard() const { return site_.scenario.layout.hsdp_shard; }
  bool is_flat() const { return site_.options().flat_buffer == FlatBuffer::kParameters; }
  StreamName gather_stream() const {
    return site_.options().reduce_stream == ReduceStream::kOwn ? StreamName::kGather : StreamName::kData;
  }

  void gather(Group& group) {
    if (group.is_whole) {
      return;
    }
    std::vector<OperationId> after;
    if (freed_.size() >= static_cast<std::size_t>(site_.options().gathers_in_flight)) {
      after = std::move(freed_.front());
      freed_.pop_front();
    }
    group.gather = site_.gather(ParallelGroup::kShard, group.stored, gather_stream(), after);
    group.is_whole = true;
    group.is_unpacked = false;
  }

  // Gathers what is not there and lets the data flow wait for it.
  void use(std::size_t index) {
    Group& group = groups_[index];
    gather(group);
    if (!group.is_unpacked) {
      site_.join(group.gather);
      group.is_unpacked = true;
      if (!is_flat() && shard() > 1) {
        site_.kernel("unpack parameters", site_.parameter_element() * (2.0 * group.stored.total()));
      }
    }
  }

  // The group whose backward pass comes next in the chunk.
  void prefetch(std::size_t unit) {
    while (unit-- > 0 && site_.units()[unit].chunk == site_.units()[unit + 1].chunk) {
      Group& next = groups_[group_of_[unit]];
      if (!next.is_whole) {
        gather(next);
        return;
      }
      if (next.units_left == next.units) {
        return;  // gathered already, and not yet used
      }
    }
  }

  void free(Group& group) {
    if (group.is_whole) {
      group.is_whole = false;
      freed_.push_back(site_.builder.frontier());
    }
  }

  void reduce(const Group& group) {
    const Bytes model = site_.parameter_element();
    const Bytes reduced = site_.gradient_element();
    // A flat gradient is put together from those of its tensors, then cast; without one the copy casts as well.
    const Bytes cast = reduced == model ? Bytes{} : model + reduced;
    site_.kernel("pack gradients", (is_flat() ? model * 2.0 + cast : model + reduced) * group.trainable.total());
    last_scatter_ = site_.launch(ParallelGroup::kShard, CollectiveOp::kReduceScatter, reduced, group.trainable,
                                 StreamName::kData, "reduce-scatter gradients", site_.builder.frontier());
    // Without a scatter the sum follows the gradients themselves.
    const std::vector<OperationId> before = last_scatter_.empty() ? site_.builder.frontier() : last_scatter_;
    const Elements owned{.shared = site_.shard_of({.shared = group.trainable.shared}),
                         .experts = site_.shard_of({.experts = group.trainable.experts})};
    last_sum_ = site_.launch(ParallelGroup::kReplica, CollectiveOp::kAllReduce, reduced, owned, StreamName::kReplica,
                             "reduce gradient shards", before);
    site_.send_gradients(group.trainable, last_sum_.empty() ? before : last_sum_);
  }

  StrategySite site_;
  std::vector<Group> groups_;
  std::vector<std::size_t> group_of_;           // by unit
  std::deque<std::vector<OperationId>> freed_;  // what must be over for the parameters freed then to be gone
  std::vector<OperationId> last_scatter_;       // collectives of one stream run in order
  std::vector<OperationId> last_sum_;
};

}  // namespace

std::unique_ptr<DataParallel> make_fsdp(const StrategySite& site) {
  return std::make_unique<Fsdp>(site);
}

}  // namespace trainyard
