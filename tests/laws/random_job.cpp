#include "tests/laws/random_job.hpp"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "models/load_model.hpp"
#include "sim/base/random.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/schedules/schedule.hpp"
#include "tests/transformer_names.hpp"

namespace trainyard::checks {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}

  std::int64_t below(std::size_t most) {
    return static_cast<std::int64_t>(seed_.of(next_++).uniform() * static_cast<double>(most));
  }
  bool one_in(std::size_t times) { return below(times) == 0; }
  template <class T>
  T any(const std::vector<T>& of) {
    return of[static_cast<std::size_t>(below(of.size()))];
  }
  std::int64_t number(std::initializer_list<std::int64_t> of) { return any(std::vector<std::int64_t>(of)); }
  std::string word(std::initializer_list<std::string> of) { return any(std::vector<std::string>(of)); }

 private:
  Draw seed_;
  std::uint64_t next_ = 0;
};

std::int64_t number_of(const Json& json, const char* key, std::int64_t absent) {
  return json.contains(key) ? json[key].get<std::int64_t>() : absent;
}

// A catalogue model of a few layers, short sequences and few experts.
Json small_model(Dice& dice) {
  const std::filesystem::path folder = std::filesystem::path(TRAINYARD_SOURCE_DIR) / "models" / "catalogue";
  Json model = read_json_file(folder / (dice.any(checks::transformer_names()) + ".json"));
  model["layers"] = 2 * (1 + dice.below(6));
  if (model.contains("encoder_layers")) {
    model["encoder_layers"] = model["layers"].get<std::int64_t>() / 2;
  }
  model["seq_len"] = dice.number({128, 256, 512, 1024, 2048});
  if (model.contains("decoder_seq_len")) {
    model["decoder_seq_len"] = 128;
  }
  if (model.contains("experts")) {
    Json& experts = model["experts"];
    experts["count"] = std::max<std::int64_t>(number_of(experts, "per_token", 1), dice.number({8, 16, 32}));
    if (experts.contains("first_dense")) {
      experts["first_dense"] = 1;
    }
  }
  return model;
}

Json any_layout(Dice& dice, std::int64_t gpus, bool has_experts) {
  Json layout = Json::object();
  std::int64_t left = gpus;
  const auto degree = [&](const char* key, std::initializer_list<std::int64_t> of) {
    const std::int64_t asked = dice.number(of);
    if (asked > 1 && left % asked == 0) {
      left /= asked;
      layout[key] = asked;
    }
  };
  degree("pp", {1, 1, 2, 3, 4});
  degree("tp", {1, 1, 2, 4, 8});
  degree("cp", {1, 1, 1, 2, 4});
  if (has_experts && left > 1) {
    layout["ep"] = dice.number({1, 2, 4, 8});
    if (layout.contains("tp") && dice.one_in(2)) {
      layout["etp"] = 1;
    }
    if (dice.one_in(4)) {
      layout["ep_overlap"] = true;
    }
  }
  if (layout.contains("cp")) {
    layout["cp_type"] = dice.word({"ring", "all_gather", "ulysses", "hierarchical"});
    if (layout["cp_type"] == "hierarchical") {
      layout["cp_inner"] = 2;
    }
  }
  if (layout.contains("pp")) {
    if (dice.one_in(4)) {
      layout["loss"] = dice.word({"as-layer", "standalone"});
    }
    if (dice.one_in(4)) {
      layout["embedding"] = dice.word({"as-layer", "standalone"});
    }
    if (dice.one_in(3)) {
      layout["order"] = dice.word({"tp-cp-ep-pp-dp", "pp-dp-ep-cp-tp", "cp-dp-pp-ep-tp", "tp-pp-dp-ep-cp"});
    }
  }
  return layout;
}

// Layers of every virtual stage, some of them none.
Json uneven_stages(Dice& dice, std::int64_t layers, std::int64_t stages) {
  std::vector<std::int64_t> each(static_cast<std::size_t>(stages), 0);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    ++each[static_cast<std::size_t>(dice.below(each.size()))];
  }
  return each;
}

void choose_schedule(Dice& dice, Json& job) {
  Json& layout = job["layout"];
  const std::int64_t pp = number_of(layout, "pp", 1);
  if (pp == 1) {
    return;
  }
  std::vector<std::string> names = kScheduleNames.names();
  names.emplace_back("1f1b");  // the usual one more often
  const std::string schedule = dice.any(names);
  const ScheduleTraits& traits = schedule_traits(*kScheduleNames.find(schedule));
  std::int64_t chunks = 1;  // virtual stages of a stage: the two replicas of a bidirectional pipeline share theirs
  if (traits.most_chunks > 1 && traits.placement != Placement::kBidirectional) {
    chunks = traits.most_chunks > 2 ? dice.number({2, 2, 3}) : traits.fewest_chunks;
    layout["vpp"] = chunks;
  }
  job["training"]["schedule"] = schedule;
  if (dice.one_in(4)) {
    layout["layers_per_stage"] = uneven_stages(dice, job["model"]["layers"], pp * chunks);
  }
}

Json any_training(Dice& dice, const Json& job) {
  Json training = Json::object();
  const Json& layout = job["layout"];
  const std::int64_t pp = number_of(layout, "pp", 1);
  const std::int64_t dp =
      job["gpus"].get<std::int64_t>() / (pp * number_of(layout, "tp", 1) * number_of(layout, "cp", 1));
  const std::int64_t micro_batch = dice.number({1, 1, 2});
  training["micro_batch"] = micro_batch;
  training["global_batch"] = micro_batch * dp * (pp > 1 ? pp * dice.number({2, 4, 6}) : dice.number({1, 2, 3, 8}));
  if (dice.one_in(2)) {
    training["zero_stage"] = dice.below(4);
  }
  if (dice.one_in(3)) {
    training["recompute"] = dice.word({"selective", "full"});
  }
  if (dice.one_in(4)) {
    training["data_parallel"] = {{"strategy", dice.any(kDataParallelNames.names())}};
  }
  if (dice.one_in(4)) {
    training["grad_dtype"] = dice.word({"fp32", "bf16", "fp16"});
  }
  if (dice.one_in(4)) {
    Json offload = Json::object();
    offload[dice.word({"optimizer", "activations", "weights"})] = dice.word({"0.5", "1"}) == "1" ? 1.0 : 0.5;
    offload["prefetch"] = dice.one_in(2);
    training["offload"] = offload;
  }
  if (job["model"].contains("experts")) {
    Json experts = Json::object();
    if (dice.one_in(2)) {
      experts["routing"] = {{"zipf", 0.25 * static_cast<double>(1 + dice.below(4))}};
    }
    if (dice.one_in(3)) {
      experts["dispatcher"] = dice.word({"all_gather", "deep_ep"});
    }
    training["experts"] = experts;
  }
  return training;
}

}  // namespace

namespace {

// Of a small model a micro-batch takes milliseconds: some of these starve it.
Json any_input(Dice& dice) {
  Json input = {{"cores", 1000}, {"workers", dice.number({1, 2, 8})}, {"prefetch", dice.number({0, 1, 1, 2, 16})}};
  input["decode"] = dice.word({"none", "100 us", "5 ms", "50 ms"});
  input["storage"] = dice.word({"memory", "local", "nfs", "object"});
  input["pinned"] = !dice.one_in(3);
  return input;
}

}  // namespace

Json random_job(std::uint64_t seed) {
  Dice dice(seed);
  Json job = Json::object();
  job["model"] = small_model(dice);
  job["cluster"] = dice.any(cluster_names());
  job["gpus"] = dice.number({1, 2, 3, 4, 6, 8, 8, 12, 16, 16, 24, 32, 64});
  if (dice.one_in(2)) {
    job["framework"] = dice.any(framework_names());
  }
  job["layout"] = any_layout(dice, job["gpus"], job["model"].contains("experts"));
  job["training"] = any_training(dice, job);
  choose_schedule(dice, job);
  if (dice.one_in(6)) {
    job["input"] = any_input(dice);
  }
  return job;
}

}  // namespace trainyard::checks
