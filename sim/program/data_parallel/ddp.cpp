// PyTorch's DistributedDataParallel: gradients in buckets of 25 MiB (the first of 1 MiB), all-reduced beside the
// backward pass in the order in which they become ready. Source: torch/csrc/distributed/c10d/reducer.cpp. Units become
// ready as a whole, so buckets are cut at their size, not at the edge of a tensor.
#include "sim/program/data_parallel/buckets.hpp"
#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

class Ddp final : public DataParallel {
 public:
  explicit Ddp(const StrategySite& site)
      : site_(site),
        buckets_(site.options().first_bucket / site.gradient_element(), site.options().bucket / site.gradient_element(),
                 site.units().size(), site.options().fill),
        wait_(site.options().cycle / 2.0 + site.options().negotiation * site.ranks()) {}

  void after_backward(const UnitPass& pass) override {
    if (pass.micro_batch == MicroBatch::kEarlier && site_.options().gradient_sync == GradientSync::kLastMicroBatch) {
      return;
    }
    buckets_.add(site_.trainable(pass.unit), [this](const Elements& bucket) {
      std::vector<OperationId> after = site_.builder.frontier();
      if (wait_ > Seconds{}) {
        after = {site_.builder.on_host_processors(StreamName::kHostUpdate, Category::kData, "gradient negotiation",
                                                  wait_, after)};
      }
      last_ = site_.launch(ParallelGroup::kData, CollectiveOp::kAllReduce, site_.gradient_element(), bucket,
                           StreamName::kData, "reduce gradient bucket", after);
    });
  }
  void after_last_backward() override { site_.join(last_); }
  UpdateShare update_share() const override {
    UpdateShare share = unsharded_update(site_);
    share.gradient_buffer = 0.0;  // zero_grad() drops the gradients
    return share;
  }

 private:
  StrategySite site_;
  BucketFiller buckets_;
  Seconds wait_;                   // of a bucket that is ready, for the thread that starts reductions
  std::vector<OperationId> last_;  // reductions run in order
};

}  // namespace

std::unique_ptr<DataParallel> make_ddp(const StrategySite& site) {
  return std::make_unique<Ddp>(site);
}

}  // namespace trainyard
