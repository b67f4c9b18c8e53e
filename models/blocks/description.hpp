#pragma once
// The room's own: a part of the model described once, as an autograd framework would record it. A block (a norm, a
// linear, attention, an MLP, experts, ...) adds its steps in the order of the forward pass and says of each which
// kernels it launches forward and backward, what it keeps in between, and which weights it has. All lists, activations,
// parameters and FLOPs are read off the description.
//
// The backward list is the steps' last first; where a framework's order is another one, the block says so
// (backward_after). Memory that is kept is a tensor with a lifetime: until the block's backward ends, unless the
// recomputation of a module writes it again before, or only where it is the input of what is recomputed.
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "models/activations.hpp"
#include "models/blocks/operator_list.hpp"

namespace trainyard {

using RecomputeModules = std::bitset<kRecomputeModuleNames.rows.size()>;

// What one step writes and others read.
struct Tensor {
  std::string_view name;  // under which it is kept: a string literal
  std::int64_t elements = 0;
  Bytes element{};
  RecomputeModules written_again_by{};  // the modules of the step that writes it
};

// Kernels and collectives; either may be empty.
struct Step {
  std::function<void(OperatorList&)> forward;
  std::function<void(OperatorList&)> backward;
};

enum class Owner { kShared, kExperts };  // experts' weights have fewer copies
enum class WeightOf { kBase, kAdapter };
// What tensor-parallel ranks hold of a weight: a part each, or all of it. Of what they hold alike they see a part of
// the tokens only with sequence parallelism, a part of the width that the ranks cut (heads, the outputs or inputs of a
// linear) always.
enum class AcrossRanks { kCut, kAlikeOverTokens, kAlikeOverWidth };
// Where a weight is counted: with the published model; with it unless the embedding is tied to it; with the modules of
// multi-token prediction; with BERT's pre-training alone, which the rank's share leaves out too.
enum class CountedWith { kModel, kUntiedModel, kPrediction, kPretraining };

// Who applies a weight's gradient: the optimizer after the backward pass, or the kernel that makes it, row by row.
enum class Updated { kByOptimizer, kInBackward };

// Matrices, or vectors, of one role.
struct Weight {
  std::int64_t elements = 0;
  // Of elements, those that multiply one token's numbers: all of a matrix, none of a norm or a bias, the visited share
  // of routed experts. And how many tokens they multiply.
  double multiplied = 0.0;
  std::int64_t tokens = 0;
  Owner owner = Owner::kShared;
  WeightOf of = WeightOf::kBase;
  AcrossRanks across = AcrossRanks::kCut;
  std::int64_t tensors = 1;
  CountedWith counted = CountedWith::kModel;
  Updated updated = Updated::kByOptimizer;
  std::int64_t rows = 0;  // of matrices between hidden layers, all of one shape; 0: vectors, and matrices of the ends
};

class Description : public ShardContext {
 public:
  explicit Description(const ShardContext& context) : ShardContext(context) {}

  // Steps. Those added while the result of `repeated_by` lives are repeated when the plan recomputes the module.
  class Scope {
   public:
    Scope(Description& description, RecomputeModule module) : description_(description), outer_(description.modules_) {
      description.modules_.set(static_cast<std::size_t>(module));
    }
    ~Scope() { description_.modules_ = outer_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Description& description_;
    RecomputeModules outer_;
  };
  [[nodiscard]] Scope repeated_by(RecomputeModule module) { return {*this, module}; }
  void step(Step step);
  std::size_t steps() const { return steps_.size(); }  // so far: the number of the next one
  // One kernel forward over `elements`, and one backward.
  struct Kernel {
    std::string_view name;
    Bytes per_element{};
  };
  void elementwise(std::int64_t elements, const Kernel& forward, const Kernel& backward);
  // Autograd gets to `step` when it has done `later`, not before.
  void backward_after(std::size_t step, std::size_t later);
  // The steps that `describe` would add, as one that has not been added yet; what it keeps and its weights are added.
  template <class Describe>
  Step grouped(const Describe& describe) {
    std::vector<PlacedStep> outer;
    outer.swap(steps_);
    describe();
    outer.swap(steps_);
    return as_one(std::move(outer));
  }
  // All that another description says, as if it had been written here; its weights count as stated.
  void append(Description other, CountedWith counted);

  // Tensors. What a step of the present scope writes:
  Tensor written(std::string_view name, std::int64_t elements, Bytes element) const {
    return {.name = name, .elements = elements, .element = element, .written_again_by = modules_};
  }
  // Kept from the forward pass for the backward.
  void keep(const Tensor& tensor);
  void keep(std::string_view name, std::int64_t elements, Bytes element) { keep(written(name, elements, element)); }
  // Operands of the gradient of a weight, which a split backward pass keeps until its second half: the tensor that the
  // weight multiplies, kept once however many weights read it, and `gradients` numbers of what it writes.
  void keep_for_weights(const Tensor& input, std::int64_t gradients);
  // Kept only where the module is recomputed, whose input it is.
  void keep_as_input(const Tensor& tensor, RecomputeModule module);
  // 16-bit copies of all weights so far, where these are wider: the backward pass reads them again.
  void keep_cast_weights();
  // What a layer keeps that is recomputed as a whole.
  void set_input(const Tensor& tensor) { input_ = tensor; }

  void weight(const Weight& weight) { weights_.push_back(weight); }
  // Multiply-adds forward of products of two activations.
  void products(double multiply_adds) { products_ += multiply_adds; }

  // What is read off it.
  std::vector<Operator> forward() const;
  std::vector<Operator> backward() const;
  // In the order of the forward pass.
  std::vector<Operator> repeated(const RecomputePlan& plan) const;
  std::vector<ActivationTerm> kept(const RecomputePlan& plan) const;
  // Between the two halves of a split backward pass.
  Bytes kept_for_weights() const;
  const std::vector<Weight>& weights() const { return weights_; }
  // Forward and backward, nothing repeated, all tokens.
  Flops model_flops() const;

 private:
  struct PlacedStep {
    Step step;
    RecomputeModules modules;                   // that repeat it
    std::optional<std::size_t> backward_after;  // a step before it
  };
  struct KeptTensor {
    Tensor tensor;
    std::optional<RecomputeModule> input_of;
    bool is_for_weights = false;
  };

  static void run_forward(const std::vector<PlacedStep>& steps, OperatorList& list);
  static void run_backward(const std::vector<PlacedStep>& steps, OperatorList& list);
  static Step as_one(std::vector<PlacedStep> steps);

  RecomputeModules modules_;
  std::vector<PlacedStep> steps_;
  std::vector<KeptTensor> kept_;
  std::vector<Weight> weights_;
  std::optional<Tensor> input_;
  std::int64_t weight_gradients_ = 0;  // numbers of outputs' gradients that weights' gradients read
  double products_ = 0.0;
};

}  // namespace trainyard
