#include "validation/tables/kernel_measurements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/grouped_gemm_model.hpp"
#include "kernels/grouped_kernel.hpp"
#include "sim/base/csv.hpp"
#include "sim/base/error.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {

void describe_convolution(const Convolution& work, KernelMeasurement& out) {
  out.group = fmt::format("{} {} {}", out.gpu_name, kPrecisionNames.name_of(work.precision),
                          kConvolutionPassNames.name_of(work.pass));
  out.configuration = fmt::format("{}x{}x{}x{} {}x{}x{} stride {}", work.images, work.channels, work.height, work.width,
                                  work.filters, work.filter_height, work.filter_width, work.stride);
  out.work = work;
}

namespace {

// What a kernel of the memory-bound tables moves per element of its 16-bit input.
struct MemoryBoundOp {
  std::string_view name;
  MemoryBoundKind kind;
  double read_bytes;
  bool writes_result;  // one element of the row's format per input element
};
constexpr std::array<MemoryBoundOp, 2> kMemoryBoundOps = {{{"compute_scale", MemoryBoundKind::kReduction, 2.0, false},
                                                           {"scale_matrix", MemoryBoundKind::kElementwise, 2.0, true}}};
// Stream tables state a rate and no size; the size only has to be far beyond any cache.
constexpr Bytes kStreamTraffic{8.0 * 1073741824.0};

class Reader {
 public:
  Reader(const CsvTable& table, const std::map<std::string, Harness>& harnesses, const GpuSpec* measured)
      : table_(table), harnesses_(harnesses), measured_(measured) {}

  // One measurement of most rows, three of a convolution's.
  std::vector<KernelMeasurement> rows(std::size_t index) {
    if (!table_.has_column("filter_w")) {
      return {row(index, [this](KernelMeasurement& out) { read_shape(out); })};
    }
    std::vector<KernelMeasurement> out;
    for (const ConvolutionColumn& column : kConvolutionColumns) {
      if (table_.has_column(column.time)) {
        out.push_back(row(index, [&](KernelMeasurement& one) { read_convolution(one, column); }));
      }
    }
    return out;
  }

 private:
  struct ConvolutionColumn {
    const char* time;
    ConvolutionPass pass;
  };
  static constexpr std::array<ConvolutionColumn, 3> kConvolutionColumns = {
      {{"fwd_us", ConvolutionPass::kForward},
       {"bwd_data_us", ConvolutionPass::kInputGradient},
       {"bwd_weight_us", ConvolutionPass::kFilterGradient}}};

  template <class Read>
  KernelMeasurement row(std::size_t index, const Read& read) {
    index_ = index;
    KernelMeasurement out{.file = table_.file(),
                          .id = table_.text(index, "id"),
                          .source = table_.text(index, "source_repo"),
                          .gpu_name = table_.text(index, "gpu"),
                          .variant = fmt::format("{} {} {} {} {}", table_.text(index, "source_repo"),
                                                 table_.text(index, "layout"), table_.text(index, "direction"),
                                                 table_.text(index, "causal"), table_.text(index, "notes"))};
    if (measured_ != nullptr && !table_.has_column("gpu")) {
      out.gpu_name = measured_->name;
    }
    const auto harness = harnesses_.find(out.source);
    harness_ = harness == harnesses_.end() ? Harness{} : harness->second;
    for (const auto& [word, gpu] : harness_.gpu_in_notes) {
      if (notes().find(word) != std::string::npos) {
        out.gpu_name = gpu;
      }
    }
    const std::vector<std::string> known = gpu_names();
    if (std::find(known.begin(), known.end(), out.gpu_name) == known.end()) {
      out.skipped = fmt::format("GPU \"{}\" is not in the catalogue", out.gpu_name);
    } else {
      out.gpu = load_gpu(out.gpu_name, table_.file(), "gpu");
    }
    read(out);
    if (out.skipped.empty() && !(out.measured > Seconds{})) {
      out.skipped = "no measured time";
    }
    return out;
  }

  void read_shape(KernelMeasurement& out) const {
    if (table_.has_column("n")) {
      read_gemm(out);
    } else if (table_.has_column("seq")) {
      read_attention(out);
    } else {
      read_memory_bound(out);
    }
  }

  const std::string& notes() const { return table_.text(index_, "notes"); }
  std::int64_t integer(std::string_view column) const { return table_.integer(index_, column).value_or(0); }

  void skip(KernelMeasurement& out, std::string reason) const {
    if (out.skipped.empty()) {
      out.skipped = std::move(reason);
    }
  }

  void read_time(KernelMeasurement& out, std::string_view column = "time_us") const {
    out.measured = {table_.measurement(index_, column, kMeasuredSeconds.in(1e6)).value_or(0.0) * 1e-6};
  }

  Precision read_precision(KernelMeasurement& out) const {
    const std::string& name = table_.text(index_, "dtype");
    const auto stated = kPrecisionNames.find(name);
    if (!stated) {
      skip(out, fmt::format("operand format \"{}\" is not known", name));
      return Precision::kBf16;
    }
    const auto as = harness_.runs_as.find(*stated);
    const Precision precision = as == harness_.runs_as.end() ? *stated : as->second;
    if (out.gpu && out.gpu->peak_for(precision) == out.gpu->peak_for(Precision::kFp32) &&
        precision != Precision::kFp32) {
      skip(out, fmt::format("{} has no units for {}", out.gpu_name, name));
    }
    return precision;
  }

  void read_gemm(KernelMeasurement& out) const {
    read_time(out);
    Gemm work{.m = integer("m"),
              .n = integer("n"),
              .k = integer("k"),
              .batch = table_.integer(index_, "batch").value_or(1),
              .precision = read_precision(out)};
    if (work.m <= 0 || work.n <= 0 || work.k <= 0 || work.batch <= 0) {
      skip(out, "m, n, k or batch is not stated or not above zero");
    }
    const double results = static_cast<double>(work.batch) * static_cast<double>(work.m) * static_cast<double>(work.n);
    const bool accumulates = notes().find("accumulate=True") != std::string::npos;
    // Beyond writing 16-bit results once: an fp32 result is twice as large, and adding to it reads it first.
    if (notes().find("out fp32") != std::string::npos) {
      work.extra_traffic = {results * (accumulates ? 6.0 : 2.0)};
    } else if (accumulates) {
      work.extra_traffic = {results * 2.0};
    }
    out.work = work;
    const bool one_kernel = notes().find("DeepGEMM fp8 grouped") != std::string::npos;
    if (one_kernel || notes().find("number of groups") != std::string::npos) {
      out.work = grouped(work, one_kernel ? GroupedKernel::kOneKernel : GroupedKernel::kManyStreams);
    }
    out.group = fmt::format("{} {}{}", out.gpu_name, kPrecisionNames.name_of(work.precision),
                            out.kind() == KernelKind::kGroupedGemm ? " grouped" : "");
    out.configuration = fmt::format("{}x{}x{}x{}", work.m, work.n, work.k, work.batch);
  }

  // Why no convolution has this shape; empty where one has.
  std::string shape_fault(const Convolution& work) const {
    constexpr std::int64_t kLargest = 1 << 20;
    const auto is_size = [](std::int64_t size) { return size >= 1 && size <= kLargest; };
    if (integer("stride_h") != work.stride) {
      return "strides of height and width differ";
    }
    for (const std::int64_t size : {work.images, work.channels, work.height, work.width, work.filters,
                                    work.filter_height, work.filter_width, work.stride}) {
      if (!is_size(size)) {
        return fmt::format("a side, a number or a stride is not stated, or not from 1 to {}", kLargest);
      }
    }
    if (work.pad_height < 0 || work.pad_width < 0 || work.pad_height > kLargest || work.pad_width > kLargest) {
      return "padding is not stated, or below zero";
    }
    if (work.height + 2 * work.pad_height < work.filter_height || work.width + 2 * work.pad_width < work.filter_width) {
      return "the filter is larger than the padded image";
    }
    return {};
  }

  void read_convolution(KernelMeasurement& out, const ConvolutionColumn& column) const {
    read_time(out, column.time);
    Convolution work{.images = integer("n"),
                     .channels = integer("c"),
                     .height = integer("h"),
                     .width = integer("w"),
                     .filters = integer("k"),
                     .filter_height = integer("filter_h"),
                     .filter_width = integer("filter_w"),
                     .stride = integer("stride_w"),
                     .pad_height = integer("pad_h"),
                     .pad_width = integer("pad_w"),
                     .pass = column.pass,
                     .precision = read_precision(out)};
    if (out.gpu && on_tensor_cores(*out.gpu, work.precision)) {
      const auto padded = [this](std::int64_t channels) {
        return (channels + harness_.tensor_channels - 1) / harness_.tensor_channels * harness_.tensor_channels;
      };
      work.layout = harness_.tensor_images;
      work.channels = padded(work.channels);
      work.filters = padded(work.filters);
    }
    if (const std::string fault = shape_fault(work); !fault.empty()) {
      skip(out, fault);
      work = {};
    }
    describe_convolution(work, out);
  }

  // `batch` experts of m tokens each; a weight gradient sums over the tokens and adds to an fp32 buffer, whose 8 bytes
  // replace the 2 of a fresh one.
  MeasuredGroupedGemm grouped(const Gemm& rows, GroupedKernel kernel) const {
    constexpr Bytes kAccumulated{6.0};
    GroupedGemm work{
        .tokens = std::vector<std::int64_t>(static_cast<std::size_t>(std::max<std::int64_t>(rows.batch, 0)), rows.m),
        .n = rows.n,
        .k = rows.k,
        .precision = rows.precision};
    if (notes().find("bwd_grad_w") != std::string::npos) {
      work.by = GroupedBy::kDepth;
      if (notes().find("accumulate=True") != std::string::npos) {
        work.extra_traffic = static_cast<double>(rows.batch * rows.n * rows.k) * kAccumulated;
      }
    }
    return {.work = std::move(work), .kernel = kernel};
  }

  void read_attention(KernelMeasurement& out) const {
    read_time(out);
    MeasuredAttention measured;
    measured.work = {.batch = integer("batch"),
                     .heads = integer("heads"),
                     .kv_heads = integer("kv_heads"),
                     .seq_q = integer("seq"),
                     .seq_kv = integer("seq"),
                     .head_dim = integer("head_dim"),
                     .mask = table_.flag(index_, "causal").value_or(false) ? Mask::kCausal : Mask::kFull,
                     .precision = read_precision(out)};
    if (measured.work.flops() <= Flops{} || table_.text(index_, "causal").empty()) {
      skip(out, "batch, seq, heads, head_dim or causal is missing");
    }
    const std::string& direction = table_.text(index_, "direction");
    if (direction == "fwd+bwd") {
      measured.pass = AttentionPass::kBoth;
    } else if (direction == "bwd") {
      measured.pass = AttentionPass::kBackward;
    } else if (direction != "fwd") {
      skip(out, fmt::format("direction \"{}\" is not fwd, bwd or fwd+bwd", direction));
    }
    measured.kernel = harness_.attention_kernel;
    if (const std::string& marker = harness_.attention_kernel_marker; !marker.empty()) {
      if (const std::size_t at = notes().find(marker); at != std::string::npos) {
        const std::size_t begin = at + marker.size();
        measured.kernel = notes().substr(begin, notes().find(';', begin) - begin);
      }
    }
    if (std::find(harness_.unfused.begin(), harness_.unfused.end(), measured.kernel) != harness_.unfused.end()) {
      skip(out, fmt::format("\"{}\" is not a fused kernel", measured.kernel));
    }
    out.group = fmt::format("{} {} {}", out.gpu_name, kPrecisionNames.name_of(measured.work.precision),
                            measured.kernel.empty() ? "default" : measured.kernel);
    const Attention& work = measured.work;
    out.configuration = fmt::format("{}x{}x{}x{}x{}", work.batch, work.seq_q, work.heads, work.kv_heads, work.head_dim);
    out.work = std::move(measured);
  }

  void read_memory_bound(KernelMeasurement& out) const {
    const std::string& op = table_.text(index_, "op");
    MeasuredMemoryBound measured;
    if (table_.has_column("gbps")) {
      measured.work.traffic = kStreamTraffic;
      if (const auto rate = table_.measurement(index_, "gbps", kMeasuredBytesPerSecond.in(1e-9))) {
        out.measured = kStreamTraffic / BytesPerSecond{*rate * 1e9};
      }
      out.configuration = op;
    } else {
      const auto found = std::find_if(kMemoryBoundOps.begin(), kMemoryBoundOps.end(),
                                      [&](const MemoryBoundOp& candidate) { return candidate.name == op; });
      read_time(out);
      if (found == kMemoryBoundOps.end()) {
        skip(out, fmt::format("what \"{}\" reads and writes is not known", op));
      } else {
        const auto format = kPrecisionNames.find(table_.text(index_, "dtype")).value_or(Precision::kBf16);
        const double per_element = found->read_bytes + (found->writes_result ? bytes_per_element(format).value : 0.0);
        measured.work.traffic = {static_cast<double>(integer("m")) * static_cast<double>(integer("k")) * per_element};
        measured.kind = found->kind;
      }
      out.configuration = fmt::format("{}x{}", integer("m"), integer("k"));
    }
    out.group = fmt::format("{} {}", out.gpu_name, table_.has_column("gbps") ? "stream" : op);
    out.work = measured;
  }

  const CsvTable& table_;
  const std::map<std::string, Harness>& harnesses_;
  const GpuSpec* measured_;
  Harness harness_;
  std::size_t index_ = 0;
};

// The columns of the kind of kernel that the table's own say it is.
void require_shape(const CsvTable& table) {
  if (table.has_column("filter_w")) {
    table.require_columns({"n", "c", "h", "w", "k", "filter_h", "stride_w", "stride_h", "pad_w", "pad_h", "dtype"});
  } else if (table.has_column("n")) {
    table.require_columns({"m", "n", "k", "dtype"});
  } else if (table.has_column("seq")) {
    table.require_columns({"batch", "seq", "heads", "head_dim", "causal", "direction", "dtype"});
  } else {
    table.require_columns({"op"});
  }
}

}  // namespace

std::vector<KernelMeasurement> read_kernel_measurements(const std::vector<std::string>& files,
                                                        const GpuSpec* measured) {
  const std::map<std::string, Harness> harnesses = load_harnesses();
  std::vector<KernelMeasurement> rows;
  for (const std::string& file : files) {
    if (is_suite_output(file)) {
      for (KernelMeasurement& row : read_suite(file, measured).kernels) {
        rows.push_back(std::move(row));
      }
      continue;
    }
    const CsvTable table = CsvTable::read(file);
    const bool says_gpu = table.has_column("gpu") || measured != nullptr;
    const bool has_times = table.has_column("time_us") || table.has_column("gbps") || table.has_column("fwd_us");
    const bool is_kernel_table = says_gpu && has_times;
    if (!is_kernel_table) {
      throw UserError({.file = file,
                       .allowed = "columns gpu and time_us (or gbps) and the shape's columns",
                       .problem = "this is not a table of kernel measurements"});
    }
    require_shape(table);
    Reader reader(table, harnesses, measured);
    for (std::size_t index = 0; index < table.rows(); ++index) {
      for (KernelMeasurement& row : reader.rows(index)) {
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

// FNV-1a, because std::hash may differ between libraries. Source: Fowler, Noll, Vo; offset and prime of 64 bits.
std::size_t fold_of(const KernelMeasurement& row) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char character : row.configuration) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 1099511628211ULL;
  }
  return static_cast<std::size_t>((hash >> 32U) % kFolds);
}

PrecisionFamily family_of(const KernelMeasurement& row) {
  if (const auto* gemm = std::get_if<Gemm>(&row.work)) {
    return family_of(gemm->precision);
  }
  if (const auto* measured = std::get_if<MeasuredGroupedGemm>(&row.work)) {
    return family_of(measured->work.precision);
  }
  if (const auto* convolution = std::get_if<Convolution>(&row.work)) {
    return family_of(convolution->precision);
  }
  const auto* attention = std::get_if<MeasuredAttention>(&row.work);
  TY_ASSERT(attention != nullptr);
  return family_of(attention->work.precision);
}

}  // namespace trainyard
