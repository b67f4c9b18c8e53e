// DeepSpeed's ZeRO stage 3: parameters are sharded too. A unit's are gathered before its forward and its backward pass,
// following ones ahead until prefetch_bucket_size elements are prefetched or max_live_parameters are gathered, and
// freed afterwards unless the trace of the step uses them again within max_reuse_distance elements. Gradients are
// reduced in every micro-batch in buckets of reduce_bucket_size. Sources: deepspeed/runtime/zero/
// partitioned_param_coordinator.py and stage3.py. DeepSpeed prefetches tensor by tensor, here it is unit by unit.
// Tensors of at most param_persistence_threshold elements (norms and biases of the layers) stay whole and are gathered
// once, after the update. Gathers and reductions share one communicator.
#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/program/data_parallel/buckets.hpp"
#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

class ZeroThree final : public DataParallel {
 public:
  explicit ZeroThree(const StrategySite& site)
      : site_(site),
        gathered_(site.units().size()),
        buckets_(std::max(1.0, site.options().reduce_bucket_size), std::max(1.0, site.options().reduce_bucket_size),
                 site.units().size()) {}

  void before_forward(const UnitPass& pass) override { fetch(pass.unit); }
  void after_forward(const UnitPass& pass) override { release(pass.unit); }
  void before_backward(const UnitPass& pass) override { fetch(pass.unit); }
  void after_backward(const UnitPass& pass) override {
    release(pass.unit);
    buckets_.add(site_.trainable(pass.unit), [this](const Elements& bucket) {
      last_ = site_.launch(ParallelGroup::kData, CollectiveOp::kReduceScatter, site_.gradient_element(), bucket,
                           StreamName::kData, "reduce gradient bucket", site_.builder.frontier());
      site_.send_gradients(bucket, last_);
      if (site_.options().overlap_comm == CommunicationOverlap::kOff) {
        site_.join(last_);
      }
    });
  }
  void after_last_backward() override { site_.join(last_); }
  void after_update() override {
    Elements persistent;
    for (const ParameterUnit& unit : site_.units()) {
      persistent.shared += static_cast<double>(unit.persistent);
    }
    if (persistent.total() > 0.0) {
      site_.join(site_.launch(ParallelGroup::kData, CollectiveOp::kAllGather, site_.parameter_element(), persistent,
                              StreamName::kData, "gather small parameters", site_.builder.frontier()));
    }
  }
  UpdateShare update_share() const override {
    UpdateShare share = unsharded_update(site_);
    share.shard.parameters = site_.sharded();
    share.gradient_buffer = 0.0;
    share.norm_over = ParallelGroup::kData;
    return share;
  }

 private:
  // That are gathered for a pass.
  Elements sharded(std::size_t unit) const {
    Elements stored = site_.stored(unit);
    stored.shared -= static_cast<double>(site_.units()[unit].persistent);
    return stored;
  }
  double elements(std::size_t unit) const { return sharded(unit).total(); }

  // Unit of the n-th pass of the step: every micro-batch goes through all units forward and then backward (ZeRO 3 knows
  // no pipeline).
  std::size_t unit_of_pass(std::size_t pass) const {
    const std::size_t units = site_.units().size();
    const std::size_t within = pass % (2 * units);
    return within < units ? within : 2 * units - 1 - within;
  }
  std::size_t passes() const {
    return 2 * site_.units().size() * static_cast<std::size_t>(site_.scenario.micro_batches());
  }

  void fetch(std::size_t unit) {
    TY_ASSERT(unit_of_pass(pass_) == unit);
    gather(unit);
    site_.join(*gathered_[unit]);
    double ahead = 0.0;
    for (std::size_t pass = pass_ + 1; pass < passes() && ahead < site_.options().prefetch_bucket_size; ++pass) {
      const std::size_t next = unit_of_pass(pass);
      if (gathered_[next]) {
        continue;
      }
      if (live_ + elements(next) > site_.options().max_live_parameters) {
        break;
      }
      ahead += elements(next);
      gather(next);
    }
  }

  void gather(std::size_t unit) {
    if (!gathered_[unit]) {
      gathered_[unit] = site_.gather(ParallelGroup::kData, sharded(unit), StreamName::kData, {});
      live_ += elements(unit);
    }
  }

  void release(std::size_t unit) {
    ++pass_;
    double traversed = 0.0;
    for (std::size_t pass = pass_; pass < passes(); ++pass) {
      if (traversed >= site_.options().max_reuse_distance) {
        break;
      }
      if (unit_of_pass(pass) == unit) {
        return;  // it is used again soon
      }
      traversed += elements(unit_of_pass(pass));
    }
    gathered_[unit].reset();
    live_ -= elements(unit);
  }

  StrategySite site_;
  std::vector<std::optional<std::vector<OperationId>>>
      gathered_;  // by unit: the gather of its parameters while they are whole
  BucketFiller buckets_;
  std::size_t pass_ = 0;  // passes that are over
  double live_ = 0.0;     // gathered elements
  std::vector<OperationId> last_;
};

}  // namespace

std::unique_ptr<DataParallel> make_zero_three(const StrategySite& site) {
  return std::make_unique<ZeroThree>(site);
}

}  // namespace trainyard
