#include "validation/microbench/gemm_cases.hpp"

#include <fmt/format.h>

#include <array>
#include <set>
#include <tuple>

#include "models/model.hpp"
#include "models/operators.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::int64_t, 4> kTensorParallel = {1, 2, 4, 8};
constexpr std::int64_t kVocabularyMultiple = 128;  // Source: Megatron-LM, make_vocab_size_divisible_by
constexpr std::array<Pass, 3> kPasses = {Pass::kForward, Pass::kDgrad, Pass::kWgrad};
constexpr Flops kLongestSweep{4e13};  // about a tenth of a second at 400 TFLOP/s

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

bool splits(const ModelSpec& model, std::int64_t tp) {
  return model.heads % tp == 0 && model.kv_heads % tp == 0 && model.ffn % tp == 0;
}

}  // namespace

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
      if (!splits(model, tp)) {
        continue;
      }
      const std::int64_t multiple = kVocabularyMultiple * tp;
      const ShardShape shape{.micro_batch = 1,
                             .seq_len = model.seq_len,
                             .tp = tp,
                             .padded_vocab = (model.vocab + multiple - 1) / multiple * multiple};
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
  return cases.take();
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
