// DeepSpeed's ZeRO stages 1 and 2, and stage 0: gradients in buckets of reduce_bucket_size elements, all-reduced
// (stage 0) or reduced to their owners; the updated parameters are gathered in equal pieces of at most
// allgather_bucket_size. Stage 2 keeps no gradient that the rank does not own, so it reduces in every micro-batch; the
// others only in the last. Source: deepspeed/runtime/zero/stage_1_and_2.py.
#include <algorithm>
#include <cmath>

#include "sim/program/data_parallel/buckets.hpp"
#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

class Zero final : public DataParallel {
 public:
  explicit Zero(const StrategySite& site)
      : site_(site),
        stage_(site.scenario.training.zero_stage),
        buckets_(std::max(1.0, site.options().reduce_bucket_size), std::max(1.0, site.options().reduce_bucket_size),
                 site.units().size()) {}

  void after_backward(const UnitPass& pass) override {
    if (pass.micro_batch == MicroBatch::kEarlier && stage_ < 2) {
      return;
    }
    buckets_.add(site_.trainable(pass.unit), [this](const Elements& bucket) {
      last_ = site_.launch(ParallelGroup::kData, stage_ == 0 ? CollectiveOp::kAllReduce : CollectiveOp::kReduceScatter,
                           site_.gradient_element(), bucket, StreamName::kData, "reduce gradient bucket",
                           site_.builder.frontier());
      if (stage_ > 0) {
        site_.send_gradients(bucket, last_);
      }
      if (site_.options().overlap_comm == CommunicationOverlap::kOff) {
        site_.join(last_);
      }
    });
  }
  void after_last_backward() override { site_.join(last_); }
  void after_update() override {
    if (stage_ == 0) {
      return;
    }
    const Elements all = site_.trainable();
    const double pieces = std::max(1.0, std::ceil(all.total() / std::max(1.0, site_.options().allgather_bucket_size)));
    for (double piece = 0.0; piece < pieces; ++piece) {
      last_ = site_.launch(ParallelGroup::kData, CollectiveOp::kAllGather, site_.parameter_element(),
                           {all.shared / pieces, all.experts / pieces}, StreamName::kData, "gather parameters",
                           site_.builder.frontier());
    }
    site_.join(last_);
  }
  UpdateShare update_share() const override {
    UpdateShare share = unsharded_update(site_);
    share.gradient_buffer = 0.0;  // zero_grad() drops the gradients
    if (stage_ > 0) {
      share.shard.parameters = site_.sharded();
      share.norm_over = ParallelGroup::kData;
    }
    return share;
  }

 private:
  StrategySite site_;
  int stage_;
  BucketFiller buckets_;
  std::vector<OperationId> last_;  // collectives run in order
};

}  // namespace

std::unique_ptr<DataParallel> make_zero(const StrategySite& site) {
  return std::make_unique<Zero>(site);
}

}  // namespace trainyard
