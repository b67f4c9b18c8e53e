#include "validation/microbench/gemm_cases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "models/load_model.hpp"
#include "models/model.hpp"
#include "models/operators.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::int64_t, 4> kTensorParallel = {1, 2, 4, 8};
constexpr std::int64_t kVocabularyMultiple = 128;  // Source: Megatron-LM, make_vocab_size_divisible_by
constexpr std::array<Pass, 3> kPasses = {Pass::kForward, Pass::kDgrad, Pass::kWgrad};
constexpr Flops kLongestSweep{4e13};        // about a tenth of a second at 400 TFLOP/s
constexpr std::int64_t kMostTokens = 8192;  // beyond it a GEMM's rate does not change and a head's logits fill memory
constexpr std::int64_t kFp8Multiple = 16;
constexpr std::int64_t kRowBytes = 16;

class Cases {
 public:
  void add(const GemmCase& one) {
    const Gemm& work = one.work;
    if (seen_.insert({work.m, work.n, work.k, work.batch, one.pass}).second) {
      list_.push_back(one);
    }
  }
  void add_all(const std::vector<Operator>& operators, const std::string& label) {
    for (const Operator& op : operators) {
      if (const auto* work = std::get_if<Gemm>(&op.work)) {
        add({{.m = work->m, .n = work->n, .k = work->k, .batch = work->batch},
             op.pass,
             fmt::format("{} {}", label, op.name)});
      }
    }
  }
  std::vector<GemmCase> take() { return std::move(list_); }

 private:
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, Pass>> seen_;
  std::vector<GemmCase> list_;
};

ShardShape shape_of(const ModelSpec& model, std::int64_t tp) {
  const std::int64_t multiple = kVocabularyMultiple * tp;
  return {.micro_batch = 1,
          .seq_len = std::min(model.seq_len, kMostTokens),
          .tp = tp,
          .padded_vocab = (model.vocab + multiple - 1) / multiple * multiple};
}

bool splits(const ModelSpec& model, std::int64_t tp) {
  return model.heads % tp == 0 && model.kv_heads % tp == 0 && model.ffn % tp == 0;
}

struct QuickGemm {
  const char* model;
  std::int64_t tp;
  std::string_view name;
  Pass pass;
  bool accumulates;
};
constexpr std::array<QuickGemm, 10> kQuickGemms = {{{"llama-3-8b", 1, "mlp_up", Pass::kForward, false},
                                                    {"llama-3-8b", 1, "mlp_down", Pass::kForward, false},
                                                    {"llama-3-8b", 1, "mlp_up", Pass::kDgrad, false},
                                                    {"llama-3-8b", 1, "mlp_up", Pass::kWgrad, true},
                                                    {"llama-3-8b", 1, "mlp_down", Pass::kWgrad, false},
                                                    {"llama-3-8b", 1, "qkv", Pass::kForward, false},
                                                    {"llama-3-8b", 1, "attention_output", Pass::kForward, false},
                                                    {"llama-3-70b", 8, "mlp_up", Pass::kForward, false},
                                                    {"llama-3-70b", 8, "attention_output", Pass::kForward, false},
                                                    {"llama-3-70b", 8, "qkv", Pass::kForward, false}}};

GemmCase quick_gemm(const QuickGemm& wanted) {
  const ModelSpec model = load_model(wanted.model);
  const ShardShape shape = shape_of(model, wanted.tp);
  const LayerKind kind = layer_kinds(model).front();
  const std::vector<Operator> operators =
      wanted.pass == Pass::kForward ? layer_forward(model, kind, shape, {}) : layer_backward(model, kind, shape, {});
  for (const Operator& op : operators) {
    const auto* work = std::get_if<Gemm>(&op.work);
    if (work != nullptr && op.name == wanted.name && op.pass == wanted.pass) {
      return {{.m = work->m, .n = work->n, .k = work->k, .batch = work->batch},
              op.pass,
              fmt::format("{} tp {} {}", wanted.model, wanted.tp, op.name)};
    }
  }
  throw UserError({.file = home_folder().string(),
                   .found = fmt::format("model {} without a GEMM {}", wanted.model, wanted.name),
                   .problem = "a GEMM of the quick list is not in the catalogue"});
}

// What a measurement of 8-bit operands depends on: layouts are one there, so equal formats are equal measurements.
using Measured = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::string_view, std::string_view,
                            std::string_view, std::string_view, bool>;
Measured measured_key(const MeasuredGemm& one) {
  const OperandFormats formats = operand_formats(one.format, one.gemm.pass);
  const Gemm& work = one.gemm.work;
  return {work.m,
          work.n,
          work.k,
          work.batch,
          layout_of(one.format, one.gemm.pass),
          formats.left,
          formats.right,
          formats.result,
          one.format.fast_accumulation};
}

constexpr GemmFormat kBf16{.precision = Precision::kBf16};
constexpr GemmFormat kBf16Added{.precision = Precision::kBf16, .accumulates = true};
constexpr GemmFormat kFp8{.precision = Precision::kFp8};
constexpr GemmFormat kFp8Fast{.precision = Precision::kFp8, .fast_accumulation = true};
constexpr GemmFormat kFp8Added{.precision = Precision::kFp8, .accumulates = true};

}  // namespace

std::vector<GemmFormat> checked_formats() {
  return {kBf16,
          kBf16Added,
          kFp8,
          kFp8Fast,
          kFp8Added,
          {.precision = Precision::kFp16},
          {.precision = Precision::kTf32},
          {.precision = Precision::kFp32}};
}

OperandFormats operand_formats(const GemmFormat& format, Pass pass) {
  if (format.precision == Precision::kFp8) {
    // The left operand of both gradients is the output's gradient (see blas_layout).
    return {pass == Pass::kForward ? "fp8_e4m3" : "fp8_e5m2", "fp8_e4m3", format.accumulates ? "fp32" : "bf16"};
  }
  const std::string_view operand =
      format.precision == Precision::kTf32 ? std::string_view("fp32") : kPrecisionNames.name_of(format.precision);
  return {operand, operand, format.accumulates ? "fp32" : operand};
}

std::string_view layout_of(const GemmFormat& format, Pass pass) {
  return format.precision == Precision::kFp8 ? "TN" : blas_layout(pass);
}

bool is_legal(const GemmCase& one, const GemmFormat& format) {
  const Gemm& work = one.work;
  if (format.precision == Precision::kFp8) {
    return work.m % kFp8Multiple == 0 && work.n % kFp8Multiple == 0 && work.k % kFp8Multiple == 0;
  }
  const auto element = static_cast<std::int64_t>(bytes_per_element(format.precision).value);
  const std::string_view layout = layout_of(format, one.pass);
  // Rows as they lie in memory: B's of k or n, A's of k or m, C's of n.
  const std::int64_t right = layout[0] == 'T' ? work.k : work.n;
  const std::int64_t left = layout[1] == 'T' ? work.m : work.k;
  return right * element % kRowBytes == 0 && left * element % kRowBytes == 0 && work.n * element % kRowBytes == 0;
}

std::vector<MeasuredGemm> quick_gemms() {
  std::vector<MeasuredGemm> out;
  for (const GemmFormat& format : {kBf16, kFp8, kFp8Fast}) {
    for (const QuickGemm& wanted : kQuickGemms) {
      GemmFormat mine = format;
      mine.accumulates = wanted.accumulates;
      out.push_back({quick_gemm(wanted), mine});
    }
  }
  return out;
}

std::vector<std::vector<MeasuredGemm>> gemm_classes(const std::vector<GemmCase>& catalogue,
                                                    const std::vector<GemmCase>& sweep,
                                                    const std::vector<Precision>& precisions) {
  struct Class {
    const std::vector<GemmCase>& gemms;
    std::vector<GemmFormat> formats;
  };
  const std::vector<GemmFormat> all = checked_formats();
  const std::vector<GemmFormat> older(all.end() - 3, all.end());
  std::set<Measured> seen;
  std::vector<std::vector<MeasuredGemm>> out;
  for (const auto& [gemms, formats] :
       {Class{catalogue, {kBf16, kBf16Added}}, Class{catalogue, {kFp8, kFp8Fast, kFp8Added}},
        Class{sweep, {kBf16, kFp8, kFp8Fast}}, Class{catalogue, older}, Class{sweep, older}}) {
    std::vector<MeasuredGemm> members;
    for (const GemmFormat& format : formats) {
      if (!precisions.empty() &&
          std::find(precisions.begin(), precisions.end(), format.precision) == precisions.end()) {
        continue;
      }
      for (const GemmCase& gemm : gemms) {
        const MeasuredGemm one{gemm, format};
        const bool wanted = !format.accumulates || gemm.pass == Pass::kWgrad;
        if (wanted && is_legal(gemm, format) && seen.insert(measured_key(one)).second) {
          members.push_back(one);
        }
      }
    }
    out.push_back(std::move(members));
  }
  return out;
}

std::string_view blas_layout(Pass pass) {
  switch (pass) {
    case Pass::kForward:
      return "TN";
    case Pass::kDgrad:
      return "NN";
    case Pass::kWgrad:
      return "NT";
  }
  return "TN";
}

std::vector<GemmCase> catalogue_gemms() {
  Cases cases;
  for (const std::string& name : model_names()) {
    const ModelSpec model = load_model(name);
    for (const std::int64_t tp : kTensorParallel) {
      if (model.network || !splits(model, tp)) {
        continue;
      }
      const ShardShape shape = shape_of(model, tp);
      const OperatorOptions options;
      const std::string label = fmt::format("{} tp {}", name, tp);
      for (const LayerKind& kind : layer_kinds(model)) {
        cases.add_all(layer_forward(model, kind, shape, options), label);
        cases.add_all(layer_backward(model, kind, shape, options), label);
      }
      cases.add_all(head_forward(model, shape, options), label);
      cases.add_all(head_backward(model, shape, options), label);
    }
  }
  std::vector<GemmCase> out = cases.take();
  if (out.empty()) {
    throw UserError({.file = home_folder().string(),
                     .found = "no model in models/catalogue",
                     .problem = "there is no GEMM to measure",
                     .remedy = "set TRAINYARD_HOME to the folder of the project"});
  }
  return out;
}

std::vector<GemmCase> sweep_gemms() {
  constexpr std::array<std::int64_t, 9> kRows = {64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
  constexpr std::array<std::int64_t, 6> kColumns = {256, 1024, 2048, 4088, 8192, 16384};
  constexpr std::array<std::int64_t, 5> kDepths = {128, 1024, 4096, 8184, 16384};
  Cases cases;
  for (const std::int64_t m : kRows) {
    for (const std::int64_t n : kColumns) {
      for (const std::int64_t k : kDepths) {
        for (const Pass pass : kPasses) {
          const Gemm work{.m = m, .n = n, .k = k};
          if (work.flops() <= kLongestSweep) {
            cases.add({work, pass, "sweep"});
          }
        }
      }
    }
  }
  return cases.take();
}

}  // namespace trainyard
