// What is pushed: whole or layer by layer, to which server, compressed or not.
#include <algorithm>
#include <cmath>
#include <memory>

#include "kernels/gpu.hpp"
#include "kernels/kernel_costs.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/cli/converge_options.hpp"
#include "sim/scenario/optimizer.hpp"
#include "sim/updates/compressors/table.hpp"
#include "sim/updates/pushed.hpp"

namespace trainyard {
namespace {

constexpr const char* kFree = "free";

// "0.2,0.5,0.3": from the input to the output, of equal times, a third of which is the forward pass.
std::vector<PushedLayer> layers_typed(const std::string& typed) {
  std::vector<PushedLayer> out;
  double sum = 0.0;
  for (const std::string& one : split_list(typed)) {
    out.push_back({.share = real_number("--layers", one, 1e-12, 1.0)});
    sum += out.back().share;
  }
  constexpr double kRounding = 1e-6;
  if (std::abs(sum - 1.0) > kRounding) {
    throw UserError({.file = "--layers",
                     .found = fmt::format("{}, which sum to {:g}", typed, sum),
                     .allowed = "shares of all parameters that sum to 1",
                     .problem = "the layers are not all parameters"});
  }
  std::reverse(out.begin(), out.end());
  const auto count = static_cast<double>(out.size());
  for (std::size_t layer = 0; layer < out.size(); ++layer) {
    out[layer].share /= sum;
    out[layer].ready = 1.0 - 2.0 / 3.0 * (count - 1.0 - static_cast<double>(layer)) / count;
  }
  return out;
}

double update_traffic_of(UpdateRule rule) {
  Optimizer optimizer = Optimizer::kPlainSgd;
  switch (rule) {
    case UpdateRule::kSgd:
      break;
    case UpdateRule::kMomentum:
      optimizer = Optimizer::kMomentum;
      break;
    case UpdateRule::kNesterov:
      optimizer = Optimizer::kNesterov;
      break;
    case UpdateRule::kAdam:
      optimizer = Optimizer::kAdam;
      break;
    case UpdateRule::kAdamw:
      optimizer = Optimizer::kAdamw;
      break;
  }
  return optimizer_traits(optimizer).values_moved();
}

Compression compression_of(const ConvergeOptions& options, UpdateRule rule) {
  Compression out;
  const std::string& name = options.compress;
  out.compressor = name.empty() ? Compressor::kNone : named_choice("--compress", name, kCompressorNames);
  const auto is = [&](Compressor one) { return out.compressor == one; };
  const bool is_sparse = is(Compressor::kTopK) || is(Compressor::kRandomK) || is(Compressor::kThreshold);
  const bool may_feed_back = !is(Compressor::kNone) && !is(Compressor::kOneBitAdam);
  refuse_idle("--keep", options.keep, is_sparse, "--compress top-k, random-k or threshold");
  refuse_idle("--threshold", options.threshold, is(Compressor::kThreshold), "--compress threshold");
  if (is(Compressor::kThreshold) && options.threshold.empty()) {
    throw UserError({.file = "command line",
                     .found = "no --threshold",
                     .allowed = "a magnitude, as 0.01",
                     .problem = "say from which magnitude on values are sent"});
  }
  refuse_idle("--bits", options.bits, is(Compressor::kQsgd), "--compress qsgd");
  refuse_idle("--bucket", options.bucket, is(Compressor::kQsgd), "--compress qsgd");
  refuse_idle("--rank", options.rank, is(Compressor::kPowerSgd), "--compress powersgd");
  refuse_idle("--warm-up", options.warm_up, is(Compressor::kOneBitAdam), "--compress one-bit-adam");
  refuse_idle("--error-feedback", options.error_feedback, may_feed_back,
              "a scheme of --compress that may do without, as all but one-bit-adam");
  constexpr int kMostBuckets = 1'000'000'000;
  constexpr int kMostRank = 1'000'000;
  out.kept = options.keep.empty() ? out.kept : real_number("--keep", options.keep, 1e-12, 1.0);
  out.threshold = options.threshold.empty() ? out.threshold : real_number("--threshold", options.threshold, 0.0, 1e12);
  out.bits = options.bits.empty() ? out.bits : whole_number("--bits", options.bits, 2, 32);
  out.bucket = options.bucket.empty() ? out.bucket : whole_number("--bucket", options.bucket, 1, kMostBuckets);
  out.rank = options.rank.empty() ? out.rank : whole_number("--rank", options.rank, 1, kMostRank);
  out.warm_up = options.warm_up.empty() ? out.warm_up : whole_number("--warm-up", options.warm_up, 1, kMostBuckets);
  constexpr NameTable<ErrorFeedback, 2> kSwitch{{{{"on", ErrorFeedback::kPresent}, {"off", ErrorFeedback::kAbsent}}}};
  out.feedback = options.error_feedback.empty() ? compressor_traits(out.compressor).usual_feedback
                                                : named_choice("--error-feedback", options.error_feedback, kSwitch);
  if (is(Compressor::kOneBitAdam) && rule != UpdateRule::kAdam) {
    throw UserError({.file = "--compress",
                     .found = name,
                     .allowed = "with --optimizer adam",
                     .problem = "it is Adam, with its variance frozen after a warm-up"});
  }
  return out;
}

}  // namespace

void set_pushes(const ConvergeOptions& options, const WorkerSource& source, UpdateRule rule, bool any_servers,
                UpdateJob& job) {
  const bool has_layers = !source.layers.empty() || !options.layers.empty();
  const std::string servers = "a mode of --sync that has servers";
  refuse_idle("--sharding", options.sharding, any_servers, servers);
  refuse_idle("--push", options.push, any_servers, servers);
  refuse_idle("--server-memory", options.server_memory, any_servers, servers);
  refuse_idle("--layers", options.layers, source.layers.empty(), "--compute, as --model says its layers");
  job.layers = options.layers.empty() ? source.layers : layers_typed(options.layers);
  if (!options.sharding.empty()) {
    job.sharding = named_choice("--sharding", options.sharding, kShardingNames);
  }
  if (!options.push.empty()) {
    job.push_unit = named_choice("--push", options.push, kPushUnitNames);
  }
  refuse_idle("--sharding", options.sharding, has_layers || job.sharding == Sharding::kEven, "--layers, or --model");
  refuse_idle("--push", options.push, has_layers || job.push_unit == PushUnit::kWhole, "--layers, or --model");
  if (options.server_memory != kFree) {
    job.server_memory = options.server_memory.empty()
                            ? kUsualServerMemory
                            : typed_quantity("--server-memory", options.server_memory, parse_bytes_per_second);
  }
  job.update_traffic = update_traffic_of(rule);
  job.compression = compression_of(options, rule);
}

void set_gpu_work(const ConvergeOptions& options, const WorkerSource& source, int batch, UpdateJob& job) {
  const bool has_work = job.compression.compressor != Compressor::kNone || !options.clip.empty();
  refuse_idle("--gpu", options.gpu, has_work, "--compress or --clip");
  if (!has_work) {
    return;
  }
  if (!options.gpu.empty() && source.gpu) {
    throw UserError({.file = "--gpu",
                     .found = options.gpu,
                     .allowed = "without --model and --cluster",
                     .problem = "the cluster says this already"});
  }
  if (options.gpu.empty() && !source.gpu) {
    throw UserError({.file = "command line",
                     .found = "no --gpu",
                     .allowed = fmt::format("a GPU (trainyard list gpus), or {}", kFree),
                     .problem = "say whose memory and units compress and clip, or that it takes no time"});
  }
  if (options.gpu == kFree) {
    return;
  }
  const std::unique_ptr<KernelCosts> costs = calibrated_kernel_costs(source.gpu ? *source.gpu : load_gpu(options.gpu));
  job.message = message_times(job.compression, matrices_of(job), *costs);
  if (!options.clip.empty()) {
    // The gradient of every sample is written, read for its norm and read for the sum; the sum gets its noise.
    constexpr double kPassesOfSample = 3.0;
    constexpr double kPassesOfNoise = 2.0;
    job.clipping = costs->memory_bound({.traffic = job.parameters * (kPassesOfSample * batch + kPassesOfNoise)});
  }
}

std::optional<Privacy> privacy_options(const ConvergeOptions& options) {
  refuse_idle("--noise-multiplier", options.noise_multiplier, !options.clip.empty(), "--clip");
  if (options.clip.empty()) {
    return std::nullopt;
  }
  constexpr double kMost = 1e12;
  const std::string& noise = options.noise_multiplier;
  return Privacy{.clip = real_number("--clip", options.clip, 1e-12, kMost),
                 .noise_multiplier = noise.empty() ? 0.0 : real_number("--noise-multiplier", noise, 0.0, kMost)};
}

}  // namespace trainyard
