#include "validation/tables/suite_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "sim/base/files.hpp"
#include "sim/base/text_start.hpp"
#include "sim/collectives/collective_table.hpp"
#include "validation/tables/collective_measurements.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 40;
constexpr double kRounding = 1.02;      // above a peak by less than this is the timer's
constexpr double kClockHeadroom = 1.1;  // where the machine's highest clock is not told: boost clocks are stated lower
constexpr double kColdFactor = 4.0;     // traffic of so many L2 caches leaves nothing of the call before
constexpr Seconds kLongerThanALaunch{100e-6};
constexpr std::array<std::string_view, 4> kKept = {"launch", "copy", "overlap", "train_step"};

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
    skip_wrong_kernels();
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
    } else if (kind == "grouped_gemm") {
      take_grouped_gemm(record);
    } else if (kind == "nccl") {
      take_collective(record);
    } else if (kind == "gemm_check" || kind == "attention_check" || kind == "membound_check") {
      if (!record.at("right").boolean()) {
        wrong_.insert(record.at("kernel").text());
      }
    } else if (std::find(kKept.begin(), kKept.end(), kind) != kKept.end()) {
      if (kind == "copy") {
        take_copy(record);
      }
      out_.others.push_back(record.value());
    } else if (kind == "convolution") {
      take_convolution(record);
    }
  }

  // A check may come after the timing, so this is the last step.
  void skip_wrong_kernels() {
    for (std::size_t i = 0; i < out_.kernels.size(); ++i) {
      if (wrong_.find(checked_as_[i]) != wrong_.end()) {
        skip(out_.kernels[i], "the kernel's results were wrong");
      }
    }
  }

  static void skip(KernelMeasurement& row, std::string reason) {
    if (row.skipped.empty()) {
      row.skipped = std::move(reason);
    }
  }

  // `checked_as`: the name under which the suite checked the kernel's results.
  void add(KernelMeasurement row, std::string checked_as) {
    out_.kernels.push_back(std::move(row));
    checked_as_.push_back(std::move(checked_as));
  }

  void hold_to_peak(KernelMeasurement& row, Flops work, Precision precision) const {
    if (gpu_ != nullptr && work / row.measured > gpu_->peak_for(precision) * (headroom_ * kRounding)) {
      skip(row, "faster than the GPU's peak: the timing is wrong");
    }
  }

  static std::string text_or(const JsonReader& record, const char* key, std::string otherwise) {
    const auto found = record.find(key);
    return found ? found->text() : std::move(otherwise);
  }
  static bool flag(const JsonReader& record, const char* key) {
    const auto found = record.find(key);
    return found && found->boolean();
  }
  static bool launched_singly(const JsonReader& record) {
    return text_or(record, "launched_by", "graph") == "launched";
  }

  void take_machine(const JsonReader& record) {
    out_.machines.push_back(record.value());
    if (gpu_ == nullptr) {
      return;
    }
    const auto clock = record.find("sm_clock_max_hz");
    headroom_ = clock && clock->number(0.0, 1e11) > 0.0
                    ? std::max(1.0, clock->number(0.0, 1e11) / gpu_->boost_clock.value)
                    : kClockHeadroom;
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
    KernelMeasurement out{.file = file_, .id = where_, .source = std::string(kSuiteBurst)};
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
    const bool sustained = record.at("mode").text() == "sustained";
    const bool fast = flag(record, "fast_accumulate");
    const std::string pass = text_or(record, "pass", "");
    const std::string operand = text_or(record, "dtype", "");
    const std::string kernel =
        fmt::format("{} x {} -> {} {} {}{}", text_or(record, "a_dtype", operand), text_or(record, "b_dtype", operand),
                    record.at("out_dtype").text(), pass, record.at("layout").text(), fast ? " fast accumulation" : "");
    if (sustained) {
      out.source = kSuiteSustained;
    } else if (record.at("cache").text() != "cold" && !beyond_cache(work)) {
      skip(out, "warm: the model's operands come from memory");
    }
    const std::string scaling = text_or(record, "scaling", "tensor");
    if (scaling == "block" && work.precision == Precision::kFp8) {
      work.precision = Precision::kFp8Block;
    } else if (scaling != "tensor") {
      skip(out, "no format of the model has scales of this kind");
    }
    // As Transformer Engine's recipes have it. Files of the first format do not say, and hold what was usual: neither.
    if (work.precision == Precision::kFp8 && record.find("fast_accumulate") && fast != (pass == "forward")) {
      skip(out, "fp8 is trained with fast accumulation forward and without it backward");
    }
    hold_to_peak(out, work.flops(), work.precision);
    out.group = fmt::format("{} {}", out.gpu_name, kPrecisionNames.name_of(work.precision));
    out.configuration = fmt::format("{}x{}x{}x{}", work.m, work.n, work.k, work.batch);
    out.variant = fmt::format("{} {} {} {}", kernel, record.at("cache").text(), record.at("mode").text(),
                              record.at("accumulate").boolean());
    out.work = work;
    add(std::move(out), kernel);
  }

  // Operands and result, the latter in 16 bits at least, flush the cache from call to call.
  bool beyond_cache(const Gemm& work) const {
    const auto m = static_cast<double>(work.m);
    const auto n = static_cast<double>(work.n);
    const auto k = static_cast<double>(work.k);
    const Bytes once =
        (m * k + k * n) * bytes_per_element(work.precision) + m * n * storage_bytes_per_element(work.precision);
    return gpu_ != nullptr && static_cast<double>(work.batch) * once > kColdFactor * gpu_->l2_cache;
  }

  void take_grouped_gemm(const JsonReader& record) {
    KernelMeasurement out = row(record);
    MeasuredGroupedGemm measured;
    measured.work = {
        .n = integer(record, "n"), .k = integer(record, "k"), .precision = record.at("dtype").choice(kPrecisionNames)};
    std::string counts;
    for (const JsonReader& rows : record.at("rows").elements()) {
      measured.work.tokens.push_back(rows.integer(0, kLargest));
      counts += fmt::format("{}{}", counts.empty() ? "" : ",", measured.work.tokens.back());
    }
    hold_to_peak(out, measured.work.flops(), measured.work.precision);
    skip_short_launches(out, record);
    out.group = fmt::format("{} grouped {}", out.gpu_name, kPrecisionNames.name_of(measured.work.precision));
    out.configuration = fmt::format("{}x{}x{}", counts, measured.work.n, measured.work.k);
    out.work = std::move(measured);
    add(std::move(out), "grouped_gemm");
  }

  static void skip_short_launches(KernelMeasurement& row, const JsonReader& record) {
    if (launched_singly(record) && row.measured < kLongerThanALaunch) {
      skip(row, "launched one by one: the launches show");
    }
  }

  void take_copy(const JsonReader& record) {
    if (record.at("direction").text() != "device_to_device") {
      return;
    }
    KernelMeasurement out = row(record);
    const Bytes traffic{2.0 * record.at("bytes").number(1.0, 1e15)};
    const bool cold = gpu_ != nullptr && traffic > kColdFactor * gpu_->l2_cache;
    out.group = fmt::format("{} copy_runtime", out.gpu_name);
    out.configuration = fmt::format("{:.0f} bytes", traffic.value / 2.0);
    out.variant = "copy";
    out.work = MeasuredMemoryBound{.work = {.traffic = traffic}, .cache = cold ? CacheState::kCold : CacheState::kWarm};
    add(std::move(out), "copy_runtime");
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
    Attention timed = work;
    timed.direction = measured.pass == AttentionPass::kBackward ? Direction::kBackward : Direction::kForward;
    hold_to_peak(out, timed.flops(), work.precision);
    skip_short_launches(out, record);
    out.group = fmt::format("{} {} {}", out.gpu_name, kPrecisionNames.name_of(work.precision), measured.kernel);
    out.configuration = fmt::format("{}x{}x{}x{}x{}", work.batch, work.seq_q, work.heads, work.kv_heads, work.head_dim);
    out.variant = fmt::format("{} {}", record.at("direction").text(), record.at("causal").boolean());
    const std::string kernel = measured.kernel;
    out.work = std::move(measured);
    add(std::move(out), kernel);
  }

  void take_convolution(const JsonReader& record) {
    KernelMeasurement out = row(record);
    constexpr NameTable<ConvolutionPass, 3> kDirections{{{{"fwd", ConvolutionPass::kForward},
                                                          {"dgrad", ConvolutionPass::kInputGradient},
                                                          {"wgrad", ConvolutionPass::kFilterGradient}}}};
    const Convolution work{.images = integer(record, "batch"),
                           .channels = integer(record, "channels"),
                           .height = integer(record, "height"),
                           .width = integer(record, "width"),
                           .filters = integer(record, "filters"),
                           .filter_height = integer(record, "filter_height"),
                           .filter_width = integer(record, "filter_width"),
                           .stride = integer(record, "stride"),
                           .pad_height = record.at("pad_height").integer(0, kLargest),
                           .pad_width = record.at("pad_width").integer(0, kLargest),
                           .groups = integer(record, "groups"),
                           .pass = record.at("direction").choice(kDirections),
                           .layout = record.at("layout").choice(kImageLayoutNames),
                           .precision = record.at("dtype").choice(kPrecisionNames)};
    describe_convolution(work, out);
    out.variant = std::string(kImageLayoutNames.name_of(work.layout));
    add(std::move(out), record.at("kernel").text());
  }

  void take_memory_bound(const JsonReader& record) {
    KernelMeasurement out = row(record);
    MeasuredMemoryBound measured;
    measured.work.traffic = {record.at("traffic_bytes").number(1.0, 1e15)};
    constexpr NameTable<MemoryBoundKind, 2> kMemoryBoundKinds{
        {{{"elementwise", MemoryBoundKind::kElementwise}, {"reduction", MemoryBoundKind::kReduction}}}};
    measured.kind = record.at("kind").choice(kMemoryBoundKinds);
    // Files of the first format called one set of operands again and again.
    constexpr NameTable<CacheState, 2> kCaches{{{{"warm", CacheState::kWarm}, {"cold", CacheState::kCold}}}};
    if (const auto cache = record.find("cache")) {
      measured.cache = cache->choice(kCaches);
    }
    if (gpu_ != nullptr && measured.cache == CacheState::kCold &&
        measured.work.traffic / out.measured > gpu_->memory_bandwidth * kRounding) {
      skip(out, "faster than the memory: the operands were in the cache");
    }
    if (record.find("launched_by")) {
      skip(out, std::string(kFrameworkKernel));
    }
    out.group = fmt::format("{} {}", out.gpu_name, record.at("kernel").text());
    out.configuration = record.at("shape").text();
    out.variant = fmt::format("{} {}", record.at("dtype").text(), text_or(record, "cache", "warm"));
    out.work = measured;
    add(std::move(out), record.at("kernel").text());
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
    out.size = {
        static_cast<double>(record.at("size_bytes").integer(1, static_cast<std::int64_t>(kLargestMessage.value)))};
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
  double headroom_ = kClockHeadroom;
  std::set<std::string> wrong_;          // kernels whose check failed
  std::vector<std::string> checked_as_;  // for each of out_.kernels
  SuiteRecords out_;
};

}  // namespace

bool is_suite_output(const std::string& file) {
  if (file.ends_with(".jsonl")) {
    return true;
  }
  std::error_code status;
  if (!std::filesystem::is_regular_file(file, status)) {
    return false;
  }
  std::string first_line;
  std::ifstream text(file);
  std::getline(text, first_line);
  return first_character(first_line) == '{' && first_line.find("\"record\"") != std::string::npos;
}

SuiteRecords read_suite(const std::string& file, const GpuSpec* gpu) {
  return SuiteReader(file, gpu).read();
}

}  // namespace trainyard
