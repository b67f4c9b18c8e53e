#include "validation/suite_records.hpp"

#include <fmt/format.h>

#include <sstream>

#include "sim/base/files.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;

class SuiteReader {
 public:
  SuiteReader(std::string file, const GpuSpec* gpu) : file_(std::move(file)), gpu_(gpu) {}

  SuiteRecords read() {
    std::istringstream lines(read_file(file_));
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      if (line.empty()) {
        continue;
      }
      where_ = fmt::format("{} line {}", file_, number);
      const Json record = parse_json(line, where_);
      take(JsonReader(record, where_));
    }
    if (out_.machines.empty()) {
      throw UserError({.file = file_,
                       .found = "no machine record",
                       .allowed = "a file that begins with one, as the microbenchmark suite writes it",
                       .problem = "nothing says what was measured"});
    }
    return std::move(out_);
  }

 private:
  void take(const JsonReader& record) {
    const std::string kind = record.at("record").text();
    if (kind == "machine") {
      take_machine(record);
      return;
    }
    if (out_.machines.empty()) {
      record.fail("a measurement before any machine record", "a machine record first");
    }
    if (kind == "gemm") {
      take_gemm(record);
    } else if (kind == "attention") {
      take_attention(record);
    } else if (kind == "membound") {
      take_memory_bound(record);
    } else if (kind == "nccl") {
      take_collective(record);
    }
  }

  void take_machine(const JsonReader& record) {
    out_.machines.push_back(record.value());
    if (gpu_ == nullptr) {
      return;
    }
    // The suite writes "9.0"; the catalogue counts 90.
    const std::string stated = record.at("compute_capability").text();
    const std::string expected = fmt::format("{}.{}", gpu_->compute_capability / 10, gpu_->compute_capability % 10);
    const std::int64_t multiprocessors = record.at("multiprocessors").integer(1, 1 << 16);
    if (stated != expected || multiprocessors != gpu_->multiprocessors) {
      throw UserError(
          {.file = where_,
           .pointer = "/compute_capability, /multiprocessors",
           .found = fmt::format("{} with {} multiprocessors, {}", stated, multiprocessors, record.at("gpu").text()),
           .allowed = fmt::format("{} with {}, as {} has", expected, gpu_->multiprocessors, gpu_->name),
           .problem = "these measurements are of another GPU",
           .remedy = "name the GPU that was measured with --gpu"});
    }
  }

  KernelMeasurement row(const JsonReader& record) const {
    KernelMeasurement out{.file = file_, .id = where_, .source = "trainyard microbench"};
    if (gpu_ != nullptr) {
      out.gpu_name = gpu_->name;
      out.gpu = *gpu_;
    } else {
      out.skipped = "no GPU of the catalogue is named";
    }
    out.measured = {record.at("time_s").at("median").number(1e-9, 1e6)};
    return out;
  }

  static std::int64_t integer(const JsonReader& record, const char* key) { return record.at(key).integer(1, kLargest); }

  void take_gemm(const JsonReader& record) {
    KernelMeasurement out = row(record);
    Gemm work{.m = integer(record, "m"),
              .n = integer(record, "n"),
              .k = integer(record, "k"),
              .batch = integer(record, "batch"),
              .precision = record.at("dtype").choice(kPrecisionNames)};
    // Beyond writing 16-bit results once: an fp32 result is twice as large, and adding to it reads it first.
    if (record.at("accumulate").boolean()) {
      constexpr Bytes kAccumulated{6.0};
      work.extra_traffic = static_cast<double>(work.batch * work.m * work.n) * kAccumulated;
    }
    if (record.at("mode").text() != "burst" || record.at("cache").text() != "cold") {
      out.skipped = "warm or sustained: fits read cold bursts";
    }
    out.group = fmt::format("{} {}", out.gpu_name, kPrecisionNames.name_of(work.precision));
    out.configuration = fmt::format("{}x{}x{}x{}", work.m, work.n, work.k, work.batch);
    out.variant = fmt::format("{} {}", record.at("layout").text(), record.at("out_dtype").text());
    out.work = work;
    out_.kernels.push_back(std::move(out));
  }

  void take_attention(const JsonReader& record) {
    KernelMeasurement out = row(record);
    MeasuredAttention measured;
    const std::int64_t sequence = integer(record, "seq");
    measured.work = {.batch = integer(record, "batch"),
                     .heads = integer(record, "heads"),
                     .kv_heads = integer(record, "kv_heads"),
                     .seq_q = sequence,
                     .seq_kv = sequence,
                     .head_dim = integer(record, "head_dim"),
                     .mask = record.at("causal").boolean() ? Mask::kCausal : Mask::kFull,
                     .precision = record.at("dtype").choice(kPrecisionNames)};
    constexpr NameTable<AttentionPass, 2> kDirections{
        {{{"fwd", AttentionPass::kForward}, {"bwd", AttentionPass::kBackward}}}};
    measured.pass = record.at("direction").choice(kDirections);
    measured.kernel = record.at("kernel").text();
    const Attention& work = measured.work;
    out.group = fmt::format("{} {} {}", out.gpu_name, kPrecisionNames.name_of(work.precision), measured.kernel);
    out.configuration = fmt::format("{}x{}x{}x{}x{}", work.batch, work.seq_q, work.heads, work.kv_heads, work.head_dim);
    out.variant = fmt::format("{} {}", record.at("direction").text(), record.at("causal").boolean());
    out.work = std::move(measured);
    out_.kernels.push_back(std::move(out));
  }

  void take_memory_bound(const JsonReader& record) {
    KernelMeasurement out = row(record);
    MeasuredMemoryBound measured;
    measured.work.traffic = {record.at("traffic_bytes").number(1.0, 1e15)};
    constexpr NameTable<MemoryBoundKind, 2> kKinds{
        {{{"elementwise", MemoryBoundKind::kElementwise}, {"reduction", MemoryBoundKind::kReduction}}}};
    measured.kind = record.at("kind").choice(kKinds);
    out.group = fmt::format("{} {}", out.gpu_name, record.at("kernel").text());
    out.configuration = record.at("shape").text();
    out.variant = record.at("dtype").text();
    out.work = measured;
    out_.kernels.push_back(std::move(out));
  }

  void take_collective(const JsonReader& record) {
    CollectiveMeasurement out{.id = where_, .file = file_, .system = "trainyard microbench"};
    const std::string op = record.at("op").text();
    const auto known = kCollectiveOpNames.find(op);
    if (!known) {
      record.at("op").fail("unknown operation", join_names(kCollectiveOpNames.names()));
    }
    out.op = *known;
    out.ranks = static_cast<int>(record.at("ranks").integer(1, 1 << 20));
    out.nodes = static_cast<int>(record.at("nodes").integer(1, 1 << 20));
    out.size = {record.at("size_bytes").number(0.0, 1e15)};
    out.time = {record.at("time_s").at("median").number(1e-9, 1e6)};
    exclude_for_type(out, record.at("dtype").text());
    if (record.at("shared_gpu").boolean()) {
      out.why_skipped = "ranks shared one GPU: their times say nothing about a fabric";
    } else if (record.at("wrong").integer(0, kLargest) > 0) {
      out.why_skipped = "the results were wrong";
    }
    out_.collectives.push_back(std::move(out));
  }

  std::string file_;
  const GpuSpec* gpu_;
  std::string where_;
  SuiteRecords out_;
};

}  // namespace

bool is_suite_output(const std::string& file) {
  return file.ends_with(".jsonl");
}

SuiteRecords read_suite(const std::string& file, const GpuSpec* gpu) {
  return SuiteReader(file, gpu).read();
}

}  // namespace trainyard
