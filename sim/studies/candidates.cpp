// Which layouts are worth looking at.
#include <algorithm>

#include "sim/studies/layout_choice.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kLargestMicroBatch = 8;
constexpr std::int64_t kLargestBatchOfSamples =
    512;  // of networks of layers, whose sample is one image and no sequence

std::vector<std::int64_t> divisors(std::int64_t number, std::int64_t most) {
  std::vector<std::int64_t> out;
  for (std::int64_t d = 1; d <= std::min(number, most); ++d) {
    if (number % d == 0) {
      out.push_back(d);
    }
  }
  return out;
}

// How a pipeline of some stages cuts the model.
struct StageCut {
  std::int64_t vpp = 1;
  EndPlacement embedding = EndPlacement::kWithLayers;
  EndPlacement loss = EndPlacement::kWithLayers;
};

class LayoutCandidates {
 public:
  explicit LayoutCandidates(const OpenJob& job)
      : job_(job),
        layout_(job.stated().layout),
        training_(job.stated().training),
        experts_(job.stated().model.experts ? job.stated().model.experts->count : 1) {}

  std::vector<LayoutChoice> all() {
    LayoutChoice choice;
    choice.cp = layout_.cp;  // not stated: 1
    for (const std::int64_t tp : tensor_degrees()) {
      choice.tp = tp;
      for (const std::int64_t pp : pipeline_degrees(choice)) {
        choice.pp = pp;
        choice.dp = of("layout.dp", layout_.dp, std::max<std::int64_t>(1, gpus() / (tp * pp * choice.cp)));
        for (const StageCut& cut : cuts(pp)) {
          choice.vpp = cut.vpp;
          choice.embedding = cut.embedding;
          choice.loss = cut.loss;
          add_expert_degrees(choice);
        }
      }
    }
    return std::move(out_);
  }

 private:
  std::int64_t gpus() const { return job_.stated().gpus; }
  std::int64_t layers() const { return job_.stated().model.layers; }

  // A stated value holds.
  template <class Value>
  Value of(std::string_view path, Value stated, Value otherwise) const {
    return job_.states(path) ? stated : otherwise;
  }
  template <class Value>
  std::vector<Value> of(std::string_view path, Value stated, std::vector<Value> otherwise) const {
    return job_.states(path) ? std::vector<Value>{stated} : std::move(otherwise);
  }

  std::vector<std::int64_t> tensor_degrees() const {
    return of("layout.tp", layout_.tp, divisors(gpus(), job_.stated().cluster.gpus_per_node));
  }

  std::vector<std::int64_t> pipeline_degrees(const LayoutChoice& choice) const {
    if (const auto& table = training_.schedule_table; table && !job_.states("layout.pp")) {
      return {static_cast<std::int64_t>(table->rows.size())};
    }
    if (layout_.device_map == Presence::kPresent) {
      return {layout_.pp};
    }
    if (job_.stated().model.network && !job_.states("layout.pp")) {
      return {1};  // whole on every rank
    }
    constexpr std::int64_t kEnds = 2;  // embedding and loss may stand in for layers
    return of("layout.pp", layout_.pp,
              divisors(std::max<std::int64_t>(1, gpus() / (choice.tp * choice.cp)), layers() + kEnds));
  }

  // Chunks per stage that the schedule can have; without a stated one it is 1f1b or interleaved.
  bool suits_schedule(std::int64_t vpp) const {
    if (training_.schedule_table) {
      return vpp == layout_.vpp;  // not stated: the table's
    }
    if (!job_.states("training.schedule")) {
      return true;
    }
    const ScheduleTraits& traits = schedule_traits(training_.schedule);
    return vpp >= traits.fewest_chunks && vpp <= traits.most_chunks;
  }

  bool cuts_freely() const {
    return job_.stated().framework.stage_split == StageSplit::kEven && !job_.states("layout.embedding") &&
           !job_.states("layout.loss") && !job_.states("layout.layers_per_stage");
  }

  std::vector<std::int64_t> chunk_numbers(std::int64_t pp) const {
    if (job_.states("layout.vpp")) {
      return {layout_.vpp};
    }
    const bool one = pp == 1 || job_.stated().framework.stage_split == StageSplit::kByCost;
    const bool two = training_.schedule_table ||
                     (job_.states("training.schedule") && schedule_traits(training_.schedule).most_chunks == 2);
    std::vector<std::int64_t> out;
    constexpr std::int64_t kEnds = 2;
    const std::int64_t most = two ? std::max<std::int64_t>(2, layout_.vpp) : one ? 1 : (layers() + kEnds) / pp;
    for (std::int64_t vpp = 1; vpp <= most; ++vpp) {
      if (suits_schedule(vpp)) {
        out.push_back(vpp);
      }
    }
    if (const std::size_t counted = layout_.layers_per_stage.size(); counted > 0 && !two) {
      std::erase_if(out, [&](std::int64_t vpp) { return vpp * pp != static_cast<std::int64_t>(counted); });
    }
    if (out.empty()) {
      out.push_back(layout_.vpp);  // which the check refuses, with the reason
    }
    return out;
  }

  std::vector<StageCut> cuts(std::int64_t pp) const {
    const std::vector<std::int64_t> numbers = chunk_numbers(pp);
    std::vector<StageCut> out;
    if (!cuts_freely()) {
      for (const std::int64_t vpp : numbers) {
        out.push_back({vpp, layout_.embedding, layout_.loss});
      }
      return out;
    }
    bool any_equal = false;
    for (const std::int64_t vpp : numbers) {
      if (vpp == 1 || job_.stated().placement() != Placement::kLooped) {
        out.push_back({.vpp = vpp});
        any_equal = any_equal || vpp > 1;
        continue;
      }
      for (const StageCut& cut :
           {StageCut{.vpp = vpp}, StageCut{.vpp = vpp, .loss = EndPlacement::kAsLayer},
            StageCut{.vpp = vpp, .embedding = EndPlacement::kAsLayer, .loss = EndPlacement::kAsLayer}}) {
        const auto ends =
            (cut.embedding == EndPlacement::kAsLayer ? 1 : 0) + (cut.loss == EndPlacement::kAsLayer ? 1 : 0);
        if ((layers() + ends) % (pp * vpp) == 0) {
          out.push_back(cut);
          any_equal = true;
        }
      }
    }
    if (!any_equal) {
      add_unequal(pp, numbers, out);
    }
    return out;
  }

  // For every size of the largest chunk the fewest chunks.
  void add_unequal(std::int64_t pp, const std::vector<std::int64_t>& numbers, std::vector<StageCut>& out) const {
    std::int64_t before = 0;
    for (const std::int64_t vpp : numbers) {
      const std::int64_t largest = (layers() + pp * vpp - 1) / (pp * vpp);
      if (vpp > 1 && largest != before) {
        out.push_back({.vpp = vpp});
      }
      before = largest;
    }
  }

  void add_expert_degrees(LayoutChoice choice) {
    if (!job_.stated().model.experts) {
      choice.ep = layout_.ep;  // stated or not, 1 is legal alone
      choice.etp = layout_.etp;
      add_recipes(choice);
      return;
    }
    const std::int64_t stage_ranks = choice.tp * choice.cp * choice.dp;
    const std::vector<std::int64_t> cuts_of_experts =
        choice.tp == 1 ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, choice.tp};
    for (const std::int64_t etp : of("layout.etp", layout_.etp, cuts_of_experts)) {
      std::vector<std::int64_t> sharing = divisors(experts_, stage_ranks);
      std::erase_if(sharing, [&](std::int64_t ep) { return ep > 1 && stage_ranks % (ep * etp) != 0; });
      for (const std::int64_t ep : of("layout.ep", layout_.ep, sharing)) {
        choice.etp = etp;
        choice.ep = ep;
        add_recipes(choice);
      }
    }
  }

  std::vector<int> zero_stages_of(const LayoutChoice& choice) const {
    const ZeroStages stages = training_.data_parallel_traits().stages;
    std::vector<int> all;
    // One rank shards nothing out, so that all stages are alike; but what is offloaded may need one of them.
    const bool all_alike = choice.dp * choice.cp == 1 && !training_.offload.any();
    for (int stage = stages.least; stage <= (all_alike ? stages.least : stages.most); ++stage) {
      all.push_back(stage);
    }
    return of("training.zero_stage", training_.zero_stage, all);
  }

  struct Recomputation {
    Recompute granularity;
    std::vector<RecomputeModule> modules;
  };
  std::vector<Recomputation> recomputations() const {
    if (job_.states("training.recompute")) {
      return {{training_.recompute, {}}};
    }
    if (job_.stated().model.network) {
      return {{Recompute::kNone, {}}, {Recompute::kFull, {}}};
    }
    const bool fused = job_.stated().framework.operators.attention == AttentionKernel::kFlash;
    std::vector<RecomputeModule> modules;
    if (fused && !job_.states("training.recompute_modules")) {
      modules = {RecomputeModule::kNorm, RecomputeModule::kActivation};
    }
    return {{Recompute::kNone, {}}, {Recompute::kSelective, modules}, {Recompute::kFull, {}}};
  }

  void add_recipes(LayoutChoice choice) {
    std::vector<std::int64_t> micro_batches;
    const std::int64_t largest = job_.stated().model.network ? kLargestBatchOfSamples : kLargestMicroBatch;
    for (std::int64_t size = 1; size <= largest; size *= 2) {
      micro_batches.push_back(size);
    }
    for (const std::int64_t micro_batch : of("training.micro_batch", training_.micro_batch, micro_batches)) {
      choice.micro_batch = micro_batch;
      for (const Recomputation& recomputation : recomputations()) {
        choice.recompute = recomputation.granularity;
        choice.recompute_modules = recomputation.modules;
        for (const int stage : zero_stages_of(choice)) {
          choice.zero_stage = stage;
          out_.push_back(choice);
        }
      }
    }
  }

  const OpenJob& job_;
  const Parallelism& layout_;
  const Training& training_;
  std::int64_t experts_;
  std::vector<LayoutChoice> out_;
};

}  // namespace

std::vector<LayoutChoice> candidate_layouts(const OpenJob& job) {
  return LayoutCandidates(job).all();
}

}  // namespace trainyard
