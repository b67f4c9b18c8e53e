#include "sim/scenario/read_input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kMostWorkers = 10'000;
constexpr std::int64_t kMostPrefetch = 1'000;
constexpr std::int64_t kMostRequests = 1'000'000;

// Batches that each worker keeps ready. Source: PyTorch, torch/utils/data/dataloader.py (prefetch_factor).
constexpr std::int64_t kBatchesPerWorker = 2;

// A JPEG of ImageNet's training set. Source: ILSVRC2012_img_train.tar, 147,897,477,120 bytes, 1,281,167 images.
constexpr Bytes kJpegFile{115.4e3};
// Decoding and augmenting one. Source: TensorFlow performance benchmarks (May 2017,
// tensorflow/docs site/en/r1/guide/performance/benchmarks.md): AlexNet on a DGX-1 is bound by its input at 7105
// images/s (four GPUs, real data; 10,509 with synthetic data), on 40 cores of Xeon E5-2698 v4.
constexpr Seconds kJpegDecode{5.63e-3};
// Looking up a sequence and widening its token ids. An assumption: no measurement was found, and the time of a step
// that trains on the sequence is hundreds of times as long.
constexpr Seconds kTokensDecode{100e-6};
// Token ids are stored in two bytes where the vocabulary allows. Source: Megatron-LM core/datasets/indexed_dataset.py
// (DType.optimal_dtype).
constexpr std::int64_t kTwoByteVocabulary = 65'500;
// On the device ids and labels have eight bytes each (torch.int64), elements of images four (torch.float32).
constexpr double kTokenTensorBytes = 16.0;
constexpr double kElementBytes = 4.0;
constexpr double kLookupIndexBytes = 8.0;

constexpr std::string_view kDecodeForm = R"(jpeg, tokens, none, or seconds of a core for a sample as text: "5.6 ms")";

// What a kind of storage does where nothing else is stated: each worker has one request under way.
StorageOptions storage_of(StorageKind kind, std::int64_t workers) {
  switch (kind) {
    case StorageKind::kLocal:
      // One NVMe drive: two of a DGX-2 in RAID 0 read 6 GB/s. Source: NVIDIA, GPUDirect Storage benchmarking and
      // configuration guide, section 3.1. The latency is an assumption.
      return {.kind = kind,
              .node_bandwidth = BytesPerSecond{3e9},
              .bandwidth = {},
              .latency = Seconds{100e-6},
              .requests = workers};
    case StorageKind::kNfs:
      // One server behind 10 Gb/s Ethernet. An assumption, the latency too.
      return {.kind = kind,
              .node_bandwidth = {},
              .bandwidth = BytesPerSecond{1.25e9},
              .latency = Seconds{1e-3},
              .requests = workers};
    case StorageKind::kObject:
      // S3 to a node of eight V100 and 100 Gb/s (p3dn.24xlarge): 6,269 MB/s. Source: github.com/dvassallo/s3-benchmark.
      // First byte after 100 to 200 ms. Source: AWS, Best Practices Design Patterns: Optimizing Amazon S3 Performance.
      return {.kind = kind,
              .node_bandwidth = BytesPerSecond{6.269e9},
              .bandwidth = {},
              .latency = Seconds{0.1},
              .requests = workers};
    case StorageKind::kMemory:
      break;
  }
  return {.kind = StorageKind::kMemory, .node_bandwidth = {}, .bandwidth = {}, .latency = {}, .requests = workers};
}

// The name of a kind, or an object: a kind and what is known better.
StorageOptions read_storage(const JsonReader& json, std::int64_t workers) {
  if (!json.value().is_object()) {
    return storage_of(json.choice(kStorageKindNames), workers);
  }
  json.expect_keys({"kind", "node_bandwidth", "bandwidth", "latency", "requests"});
  const auto kind = json.find("kind");
  StorageOptions storage = storage_of(kind ? kind->choice(kStorageKindNames) : StorageKind::kLocal, workers);
  if (const auto found = json.find("node_bandwidth")) {
    storage.node_bandwidth = found->bytes_per_second();
  }
  if (const auto found = json.find("bandwidth")) {
    storage.bandwidth = found->bytes_per_second();
  }
  if (const auto found = json.find("latency")) {
    storage.latency = found->seconds();
  }
  if (const auto found = json.find("requests")) {
    storage.requests = found->integer(1, kMostRequests);
  }
  return storage;
}

Seconds read_decode(const JsonReader& json) {
  const std::string written = json.value().is_string() ? json.value().get<std::string>() : std::string();
  if (written == "jpeg") {
    return kJpegDecode;
  }
  if (written == "tokens") {
    return kTokensDecode;
  }
  if (written == "none") {
    return {};
  }
  try {
    return json.seconds();
  } catch (const UserError& error) {
    json.fail("what decoding a sample takes is a name or a time", std::string(kDecodeForm));
  }
}

// Loader processes stand on every node that has GPUs of the job: the fewest cores that any has, the most GPUs.
struct LoaderNode {
  std::int64_t cores = 0;  // 0: nobody says
  std::int64_t gpus = 1;
};

LoaderNode loader_node(const Scenario& scenario) {
  const ClusterSpec& cluster = scenario.cluster;
  LoaderNode out;
  out.cores = cluster.node.host_cores;
  for (const ClusterSpec& kind : cluster.kinds) {
    out.cores = std::min<std::int64_t>(out.cores, kind.node.host_cores);
  }
  for (const NodeInUse& node : nodes_in_use(cluster, static_cast<int>(scenario.gpus))) {
    out.gpus = std::max<std::int64_t>(out.gpus, node.gpus);
  }
  return out;
}

// Workers of a GPU: those stated, or the node's cores shared out; each has a core.
void settle_workers(InputOptions& input, const JsonReader& json, const LoaderNode& node) {
  const auto cores = json.find("cores");
  const auto workers = json.find("workers");
  input.cores = cores ? cores->integer(1, kMostWorkers) : node.cores;
  input.workers = workers ? workers->integer(1, kMostWorkers) : std::max<std::int64_t>(1, input.cores / node.gpus);
  input.most_workers = input.cores / node.gpus;
  const Place place{json.file(), json.pointer()};
  if (input.cores == 0 && input.decode > Seconds{}) {
    place.fail("/cores", "samples are decoded on cores of which nobody says how many a node has", "no number of cores",
               "the cores of a node", R"(state input.cores, or add "cores" to the "host" of the cluster's node)");
  }
  if (input.decode > Seconds{} && input.cores > 0 && input.workers * node.gpus > input.cores) {
    place.fail("/workers", "the workers of a node's GPUs are more than its cores",
               fmt::format("{} for each of {} GPUs", input.workers, node.gpus),
               fmt::format("{} on {} cores", input.cores / node.gpus, input.cores),
               "ask for fewer workers, or state input.cores where the node has more");
  }
}

bool reads_images(const ModelSpec& model) {
  return model.network && model.network->input.height > 1;
}

// Features are read as they are used.
Seconds usual_decode(const ModelSpec& model) {
  if (model.network) {
    return reads_images(model) ? kJpegDecode : Seconds{};
  }
  return kTokensDecode;
}

// What a sample of the model is on the storage, and on the device.
void default_sizes(InputOptions& input, const Scenario& scenario) {
  if (scenario.model.network) {
    const NetworkSpec& network = *scenario.model.network;
    input.tensor = Bytes{kElementBytes * static_cast<double>(network.input.elements()) +
                         kLookupIndexBytes * static_cast<double>(network.table_lookups())};
    input.sample = reads_images(scenario.model) ? kJpegFile : input.tensor;
    return;
  }
  const auto tokens = static_cast<double>(scenario.training.seq_len);
  input.sample = Bytes{tokens * (scenario.model.vocab < kTwoByteVocabulary ? 2.0 : 4.0)};
  input.tensor = Bytes{tokens * kTokenTensorBytes};
}

// Copies need a way to the device. Who does not ask for them goes without.
void settle_input_copies(InputOptions& input, const JsonReader& json, const Scenario& scenario) {
  const auto has_way = [](const ClusterSpec& cluster) { return cluster.node.host_link > BytesPerSecond{}; };
  const std::vector<ClusterSpec>& kinds = scenario.cluster.kinds;
  if (kinds.empty() ? has_way(scenario.cluster) : std::all_of(kinds.begin(), kinds.end(), has_way)) {
    return;
  }
  if (json.has("tensor_bytes") && input.tensor > Bytes{}) {
    Place{json.file(), json.pointer()}.fail(
        "/tensor_bytes", "the cluster describes no way from a host's memory to a GPU", scenario.cluster.name,
        "\"0 B\", or a cluster whose nodes have \"pcie\" and \"cpus\"", "choose another cluster, or leave the key out");
  }
  input.tensor = {};
}

}  // namespace

InputOptions read_input(const JsonReader& json, const Scenario& scenario) {
  json.expect_keys({"sample_bytes", "tensor_bytes", "storage", "decode", "cores", "workers", "prefetch", "pinned"});
  InputOptions input;
  default_sizes(input, scenario);
  if (const auto found = json.find("sample_bytes")) {
    input.sample = found->bytes();
  }
  if (const auto found = json.find("tensor_bytes")) {
    input.tensor = found->bytes();
  }
  const auto decode = json.find("decode");
  input.decode = decode ? read_decode(*decode) : usual_decode(scenario.model);
  settle_workers(input, json, loader_node(scenario));
  const auto storage = json.find("storage");
  input.storage = storage ? read_storage(*storage, input.workers) : storage_of(StorageKind::kLocal, input.workers);
  const auto prefetch = json.find("prefetch");
  input.prefetch =
      prefetch ? prefetch->integer(0, kMostPrefetch) : std::min(kMostPrefetch, kBatchesPerWorker * input.workers);
  if (const auto found = json.find("pinned")) {
    input.copies = found->boolean() ? InputCopies::kAhead : InputCopies::kBlocking;
  }
  settle_input_copies(input, json, scenario);
  return input;
}

Json input_json(const InputOptions& input) {
  Json storage = {{"kind", kStorageKindNames.name_of(input.storage.kind)},
                  {"latency", fmt::format("{} s", input.storage.latency.value)},
                  {"requests", input.storage.requests}};
  if (input.storage.node_bandwidth) {
    storage["node_bandwidth"] = fmt::format("{} B/s", input.storage.node_bandwidth->value);
  }
  if (input.storage.bandwidth) {
    storage["bandwidth"] = fmt::format("{} B/s", input.storage.bandwidth->value);
  }
  Json out = {{"sample_bytes", fmt::format("{} B", input.sample.value)},
              {"tensor_bytes", fmt::format("{} B", input.tensor.value)},
              {"storage", std::move(storage)},
              {"decode", fmt::format("{} s", input.decode.value)},
              {"workers", input.workers},
              {"prefetch", input.prefetch},
              {"pinned", input.copies == InputCopies::kAhead}};
  if (input.cores > 0) {
    out["cores"] = input.cores;
  }
  return out;
}

}  // namespace trainyard
