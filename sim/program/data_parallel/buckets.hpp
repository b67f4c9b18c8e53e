#pragma once
// Gradients that become ready unit by unit are collected into buckets; a full bucket is reduced,
// or what is ready after each unit.
#include <cstddef>

#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {

// Sizes are in elements. A unit whose gradients exceed what is left of a bucket is spread over several: its tensors
// become ready within one pass. A bucket takes shared elements and experts in the proportion in which they wait.
class BucketFiller {
 public:
  // The first bucket of a backward pass may have a size of its own. `units` take part in a pass.
  BucketFiller(double first, double others, std::size_t units, BucketFill fill = BucketFill::kFull)
      : first_(first), others_(others), units_(units), fill_(fill), capacity_(first) {}

  // Adds a unit's gradients; calls issue(elements) for every full bucket and, after the last unit, for the rest.
  template <class Issue>
  void add(const Elements& elements, Issue issue) {
    ready_ += elements;
    while (ready_.total() >= capacity_) {
      const double experts = ready_.experts * (capacity_ / ready_.total());
      const Elements bucket{capacity_ - experts, experts};
      issue(bucket);
      ready_ += {-bucket.shared, -bucket.experts};
      capacity_ = others_;
    }
    ++seen_;
    if (fill_ == BucketFill::kReady || seen_ == units_) {
      if (ready_.total() > 0.0) {
        issue(ready_);
      }
      ready_ = {};
    }
    if (seen_ == units_) {
      seen_ = 0;
      capacity_ = first_;
    }
  }

 private:
  double first_;
  double others_;
  std::size_t units_;
  BucketFill fill_;
  double capacity_;
  Elements ready_;
  std::size_t seen_ = 0;
};

}  // namespace trainyard
