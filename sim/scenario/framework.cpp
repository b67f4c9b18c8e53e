#include "sim/scenario/framework.hpp"

#include "kernels/calibration.hpp"
#include "kernels/grouped_kernel.hpp"
#include "sim/base/files.hpp"
#include "sim/scenario/operator_names.hpp"

namespace trainyard {
namespace {

constexpr NameTable<GroupedKernel, 2> kGroupedKernelNames{
    {{{"one-kernel", GroupedKernel::kOneKernel}, {"many-streams", GroupedKernel::kManyStreams}}}};
constexpr NameTable<StageSplit, 2> kStageSplitNames{{{{"even", StageSplit::kEven}, {"by-cost", StageSplit::kByCost}}}};
constexpr std::int64_t kMostBuffers = 10'000;
constexpr double kLeastRate = 0.1;
constexpr double kMostRate = 1.5;
constexpr NameTable<MeasuredMemory, 2> kMeasuredNames{
    {{{"device", MeasuredMemory::kDevicePeak}, {"first-stage-allocator", MeasuredMemory::kFirstStageAllocator}}}};

Fusion fusion(const JsonReader& json, std::string_view key) {
  return json.at(key).boolean() ? Fusion::kOn : Fusion::kOff;
}

OperatorOptions read_operators(const JsonReader& json) {
  json.expect_keys({"attention",
                    "bias_gelu",
                    "bias_dropout_add",
                    "norm",
                    "batch_norm",
                    "images",
                    "rope",
                    "cross_entropy",
                    "wgrad_accumulation",
                    "linear_bias",
                    "merged_projections",
                    "gradient_buffer",
                    "vocabulary_parallel",
                    "async_tensor_collectives",
                    "chunked_tensor_collectives",
                    "router",
                    "permutation",
                    "grouped_gemm",
                    "rope_latent",
                    "shared_experts",
                    "attention_copies",
                    "gathered_predictions",
                    "softmax_casts",
                    "composed_pointwise",
                    "loss_metrics"});
  const auto presence = [&json](std::string_view key) {
    return json.at(key).boolean() ? Presence::kPresent : Presence::kAbsent;
  };
  OperatorOptions options;
  options.attention = json.at("attention").choice(kAttentionNames);
  options.bias_gelu = fusion(json, "bias_gelu");
  options.bias_dropout_add = fusion(json, "bias_dropout_add");
  options.norm = fusion(json, "norm");
  options.rope = fusion(json, "rope");
  options.cross_entropy = fusion(json, "cross_entropy");
  options.wgrad_accumulation = fusion(json, "wgrad_accumulation");
  options.linear_bias = fusion(json, "linear_bias");
  options.merged_projections = fusion(json, "merged_projections");
  options.gradient_buffer = presence("gradient_buffer");
  options.vocabulary_parallel = presence("vocabulary_parallel");
  options.async_tensor_collectives =
      json.at("async_tensor_collectives").boolean() ? TensorOverlap::kOn : TensorOverlap::kOff;
  // Of experts, latent attention and chunked collectives: profiles that do not speak of them have OperatorOptions' own.
  const auto fusion_if_stated = [&json](std::string_view key, Fusion& option) {
    option = json.has(key) ? fusion(json, key) : option;
  };
  const auto overlap_if_stated = [&json](std::string_view key, TensorOverlap& option) {
    if (const auto found = json.find(key)) {
      option = found->boolean() ? TensorOverlap::kOn : TensorOverlap::kOff;
    }
  };
  options.batch_norm =
      json.has("batch_norm") ? json.at("batch_norm").choice(kBatchNormFusionNames) : options.batch_norm;
  options.images = json.has("images") ? json.at("images").choice(kImageLayoutNames) : options.images;
  fusion_if_stated("router", options.router);
  fusion_if_stated("permutation", options.permutation);
  fusion_if_stated("grouped_gemm", options.grouped_gemm);
  fusion_if_stated("rope_latent", options.rope_latent);
  overlap_if_stated("chunked_tensor_collectives", options.chunked_tensor_collectives);
  overlap_if_stated("shared_experts", options.shared_experts);
  const auto presence_if_stated = [&](std::string_view key, Presence& option) {
    option = json.has(key) ? presence(key) : option;
  };
  presence_if_stated("attention_copies", options.attention_copies);
  presence_if_stated("gathered_predictions", options.gathered_predictions);
  presence_if_stated("softmax_casts", options.softmax_casts);
  presence_if_stated("composed_pointwise", options.composed_pointwise);
  if (const auto found = json.find("loss_metrics")) {
    constexpr std::int64_t kMostMetrics = 16;
    options.loss_metrics = found->integer(0, kMostMetrics);
  }
  return options;
}

HostCosts read_host(const JsonReader& json) {
  json.expect_keys({"forward_operator", "backward_operator", "collective", "collective_check", "micro_batch", "step"});
  return {.forward_operator = json.at("forward_operator").seconds(),
          .backward_operator = json.at("backward_operator").seconds(),
          .collective = json.at("collective").seconds(),
          .collective_check = json.has("collective_check") ? json.at("collective_check").seconds() : Seconds{},
          .micro_batch = json.at("micro_batch").seconds(),
          .step = json.at("step").seconds()};
}

FittedValues read_fitted(const JsonReader& json) {
  json.expect_keys({"host", "kernel_rate", "memory_rate"});
  return {.host = read_host(json.at("host")),
          .kernel_rate = json.at("kernel_rate").number(kLeastRate, kMostRate),
          .memory_rate = json.has("memory_rate") ? json.at("memory_rate").number(kLeastRate, kMostRate) : 1.0};
}

std::vector<FrameworkFit> read_fits(const JsonReader& json) {
  std::vector<FrameworkFit> fits;
  for (const JsonReader& one : json.elements()) {
    one.expect_keys({"table", "rows", "mean_abs_error", "held_out"});
    FrameworkFit& fit = fits.emplace_back();
    fit.table = one.at("table").text();
    for (const JsonReader& fold : one.at("held_out").elements()) {
      fit.held_out.push_back(read_fitted(fold));
    }
  }
  return fits;
}

FrameworkMemory read_memory(const JsonReader& json) {
  json.expect_keys({"context", "fragmentation", "autograd_gradients", "bucket_copies", "lagging_collectives",
                    "loss_copies", "measured"});
  const auto presence = [&json](std::string_view key) {
    const auto found = json.find(key);
    return found && found->boolean() ? Presence::kPresent : Presence::kAbsent;
  };
  const auto count = [&json](std::string_view key) {
    const auto found = json.find(key);
    return found ? found->integer(0, kMostBuffers) : 0;
  };
  const auto measured = json.find("measured");
  return {.context = json.at("context").bytes(),
          .fragmentation = json.at("fragmentation").number(0.0, 1.0),
          .autograd_gradients = presence("autograd_gradients"),
          .bucket_copies = presence("bucket_copies"),
          .lagging_collectives = count("lagging_collectives"),
          .loss_copies = count("loss_copies"),
          .measured = measured ? measured->choice(kMeasuredNames) : MeasuredMemory::kDevicePeak};
}

}  // namespace

std::size_t fold_of(std::string_view id, std::size_t folds) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : id) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return static_cast<std::size_t>((hash >> 32U) % folds);
}

FrameworkProfile without_run(FrameworkProfile profile, std::string_view table, std::string_view id) {
  for (const FrameworkFit& fit : profile.fits) {
    if (fit.table == table && !fit.held_out.empty()) {
      const FittedValues values = fit.held_out[fold_of(id, fit.held_out.size())];
      profile.host = values.host;
      profile.kernel_rate = values.kernel_rate;
      profile.memory_rate = values.memory_rate;
      break;
    }
  }
  return profile;
}

std::vector<std::string> framework_names() {
  return catalogue_names(kFrameworkFolder);
}

FrameworkProfile load_framework(std::string_view name_or_path, std::string_view file, std::string_view pointer) {
  return read_framework(framework_document(name_or_path, file, pointer));
}

FrameworkProfile read_framework(const FrameworkDocument& source) {
  const JsonReader json(source.document, source.file);
  json.expect_keys({"description", "operators", "host", "kernel_rate", "memory_rate", "memory_rate_16_bit",
                    "fused_optimizer", "attention_kernel", "grouped_kernel", "fits", "pipeline", "data_parallel",
                    "vocab_multiple", "nccl_version", "memory", "defaults", "sources"});
  FrameworkProfile profile;
  profile.name = source.name;
  profile.description = json.at("description").text();
  profile.operators = read_operators(json.at("operators"));
  profile.host = read_host(json.at("host"));
  profile.kernel_rate = json.at("kernel_rate").number(kLeastRate, kMostRate);
  if (const auto rate = json.find("memory_rate")) {
    profile.memory_rate = rate->number(kLeastRate, kMostRate);
  }
  if (const auto rate = json.find("memory_rate_16_bit")) {
    profile.memory_rate_16_bit = rate->number(kLeastRate, kMostRate);
  }
  if (const auto fused = json.find("fused_optimizer")) {
    profile.optimizer = fused->boolean() ? Fusion::kOn : Fusion::kOff;
  }
  if (const auto kernel = json.find("attention_kernel")) {
    profile.attention_kernel = measured_attention_kernel(*kernel);
  }
  if (const auto grouped = json.find("grouped_kernel")) {
    profile.grouped_kernel = grouped->choice(kGroupedKernelNames);
  }
  if (const auto fits = json.find("fits")) {
    profile.fits = read_fits(*fits);
  }
  const JsonReader pipeline = json.at("pipeline");
  pipeline.expect_keys(
      {"exchange", "scatter_gather", "activation_announcements", "gradient_announcements", "stage_split"});
  profile.exchange = pipeline.at("exchange").choice(kExchangeNames);
  profile.scatter_gather = pipeline.at("scatter_gather").boolean() ? ScatterGather::kOn : ScatterGather::kOff;
  if (profile.exchange == PipelineExchange::kAnnounced) {
    profile.activation_announcements = static_cast<int>(pipeline.at("activation_announcements").integer(0, 100));
    profile.gradient_announcements = static_cast<int>(pipeline.at("gradient_announcements").integer(0, 100));
  }
  if (const auto split = pipeline.find("stage_split")) {
    profile.stage_split = split->choice(kStageSplitNames);
  }
  profile.data_parallel = read_data_parallel(json.at("data_parallel"), {});
  profile.vocab_multiple = json.at("vocab_multiple").integer(1, 1 << 20);
  profile.nccl_version = json.at("nccl_version").text();
  profile.memory = read_memory(json.at("memory"));
  const JsonReader defaults = json.at("defaults");
  defaults.expect_keys({"sequence_parallel", "recompute", "precision", "grad_dtype", "zero_stage"});
  profile.default_sequence_parallel =
      defaults.at("sequence_parallel").boolean() ? SequenceParallel::kOn : SequenceParallel::kOff;
  profile.default_recompute = defaults.at("recompute").choice(kRecomputeNames);
  profile.default_precision = defaults.at("precision").choice(kPrecisionNames);
  profile.default_grad_dtype = defaults.at("grad_dtype").choice(kPrecisionNames);
  profile.default_zero_stage = static_cast<int>(defaults.at("zero_stage").integer(0, 3));
  json.at("sources").members();
  return profile;
}

}  // namespace trainyard
