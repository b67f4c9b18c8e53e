// Megatron's DistributedDataParallel: contiguous gradient buffers cut into buckets of max(40 million, 1 million x dp)
// parameters in the order of the backward pass, all-reduced, or with the distributed optimizer (ZeRO stage 1)
// reduce-scattered and the updated parameters gathered. Sources: megatron/core/distributed/
// distributed_data_parallel.py and param_and_grad_buffer.py.
#include <algorithm>
#include <limits>

#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

struct Bucket {
  Elements elements;
  std::size_t units_left = 0;  // whose gradients are not ready
  std::vector<OperationId> gather;
  bool is_launched = false;
  bool is_awaited = false;  // the data flow has waited for the gather
};

class Megatron final : public DataParallel {
 public:
  explicit Megatron(const StrategySite& site) : site_(site) {
    const DataParallelOptions& options = site.options();
    // Megatron cuts buckets on the first stage only; the others reduce after their last backward, while they wait for
    // it.
    overlaps_ = options.gradient_reduction == GradientReduction::kOverlapped && site.stage == 0;
    const double least = overlaps_
                             ? std::max(options.bucket_parameters, options.bucket_parameters_per_rank * site.ranks())
                             : std::numeric_limits<double>::infinity();
    bucket_of_.resize(site.units().size());
    buckets_.emplace_back();
    for (std::size_t unit = site.units().size(); unit-- > 0;) {
      if (buckets_.back().elements.total() >= least) {
        buckets_.emplace_back();
      }
      buckets_.back().elements += site.trainable(unit);
      ++buckets_.back().units_left;
      bucket_of_[unit] = buckets_.size() - 1;
    }
  }

  void before_forward(const UnitPass& pass) override {
    if (!gathers_before_use()) {
      return;
    }
    // The forward pass meets the buckets in reverse. The gather of the next one starts when one is first needed.
    Bucket& bucket = buckets_[bucket_of_[pass.unit]];
    while (!bucket.is_launched) {
      gather_next();
    }
    if (bucket.is_awaited) {
      return;
    }
    site_.join(bucket.gather);
    bucket.is_awaited = true;
    if (gathered_ < buckets_.size()) {
      gather_next();
    }
  }
  void after_backward(const UnitPass& pass) override {
    if (pass.micro_batch == MicroBatch::kLast && overlaps_) {
      Bucket& bucket = buckets_[bucket_of_[pass.unit]];
      if (--bucket.units_left == 0) {
        reduce(bucket);
      }
    }
  }
  void after_last_backward() override {
    if (!overlaps_) {
      reduce(buckets_.front());
    }
    site_.join(last_);
  }
  void after_update() override {
    if (shards() && !gathers_before_use()) {
      site_.join(site_.launch(ParallelGroup::kData, CollectiveOp::kAllGather, site_.parameter_element(),
                              site_.trainable(), StreamName::kData, "gather parameters", site_.builder.frontier()));
    }
  }
  UpdateShare update_share() const override {
    UpdateShare share = unsharded_update(site_);
    if (shards()) {
      share.shard.parameters = site_.sharded();
    }
    return share;
  }

 private:
  bool shards() const { return site_.scenario.training.zero_stage >= 1; }
  bool gathers_before_use() const {
    return shards() && site_.options().parameter_gather == ParameterGather::kBeforeUse;
  }
  void reduce(const Bucket& bucket) {
    const bool scatters = shards() && site_.options().shard_gradients == ShardGradients::kReduceScatter;
    last_ = site_.launch(ParallelGroup::kData, scatters ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
                         site_.gradient_element(), bucket.elements, StreamName::kData, "reduce gradient bucket",
                         site_.builder.frontier());
  }
  void gather_next() {
    Bucket& bucket = buckets_[buckets_.size() - ++gathered_];
    bucket.gather = site_.launch(ParallelGroup::kData, CollectiveOp::kAllGather, site_.parameter_element(),
                                 bucket.elements, StreamName::kData, "gather parameter bucket", {});
    bucket.is_launched = true;
  }

  StrategySite site_;
  bool overlaps_ = false;
  std::vector<Bucket> buckets_;         // in the order of the backward pass
  std::vector<std::size_t> bucket_of_;  // by unit
  std::size_t gathered_ = 0;            // buckets whose gather is launched, from the last on
  std::vector<OperationId> last_;       // reductions run in order
};

}  // namespace

std::unique_ptr<DataParallel> make_megatron(const StrategySite& site) {
  return std::make_unique<Megatron>(site);
}

}  // namespace trainyard
