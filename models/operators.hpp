#pragma once
// A model as the list of kernels and collectives within layers that one rank executes, in order.
//
// Traffic of the element-wise kernels is what each reads plus what it writes, in elements of
// ShardShape::activation_element. Small kernels (on one number per token or per channel) are listed too: they cost next
// to nothing on the device but one launch each on the host. Backward element-wise kernels that lead to an input's
// gradient are Pass::kDgrad; wgrad GEMMs, bias reductions and gradient accumulations are Pass::kWgrad.
// Post-norm layers (BERT) run the same kernels in another order; the lists are those of a pre-norm layer.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "models/model.hpp"
#include "sim/base/parallel_group.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

enum class SequenceParallel { kOff, kOn };
enum class AttentionKernel { kUnfused, kUnfusedSoftmaxFused, kFlash };
enum class Fusion { kOff, kOn };
enum class TensorOverlap { kOff, kOn };
enum class Recompute { kNone, kSelective, kFull };

// Parts of a layer that selective recomputation may drop and repeat: core attention (QK^T, softmax, dropout, AV;
// Source: arXiv 2205.05198 section 5), the MLP's or experts' activation function, the norms, the up-projections of
// latent attention, a dense MLP, the experts with their router and dispatch. Source: Megatron-LM transformer_config.py,
// recompute_modules: core_attn, moe_act, layernorm, mla_up_proj, mlp, moe.
enum class RecomputeModule { kCoreAttention, kActivation, kNorm, kLatentUp, kMlp, kExperts };

// What a layer recomputes. A granularity alone stands for Megatron's default: selective is core attention.
struct RecomputePlan {
  Recompute granularity = Recompute::kNone;
  std::vector<RecomputeModule> modules;  // of selective

  RecomputePlan(Recompute recompute)  // NOLINT(google-explicit-constructor): a granularity is a plan
      : granularity(recompute) {
    if (recompute == Recompute::kSelective) {
      modules = {RecomputeModule::kCoreAttention};
    }
  }
  explicit RecomputePlan(std::vector<RecomputeModule> selected)
      : granularity(Recompute::kSelective), modules(std::move(selected)) {}
  bool has(RecomputeModule module) const {
    return granularity == Recompute::kSelective && std::find(modules.begin(), modules.end(), module) != modules.end();
  }
};

// How the ranks that share a sequence exchange keys and values. Ring: chunks go round, each rank holding an early and a
// late piece of the sequence so that all have the same causal work. All-gather: keys and values are gathered first.
// Ulysses: all-to-all turns sequence shards into head shards and back. Hierarchical: Ulysses among `context_inner`
// ranks, a ring among those groups. Source: Megatron-LM transformer_config.py, cp_comm_type.
enum class ContextParallel { kRing, kAllGather, kUlysses, kHierarchical };
// How tokens reach their experts: NCCL all-to-all of copies sorted by expert, all-gather of all tokens with a
// reduce-scatter back, or a fused kernel that sends a token once per node (DeepEP).
enum class TokenDispatcher { kAllToAll, kAllGather, kDeepEp };

// How a rank's share of a layer looks: one micro-batch of `micro_batch` sequences of `seq_len` tokens, each cut over
// `cp` ranks, and every layer over `tp` of them. Experts are spread over `ep` ranks and each is cut over `expert_tp`.
struct ShardShape {
  std::int64_t micro_batch = 1;
  std::int64_t seq_len = 0;  // whole sequences
  // Tokens of the documents that are packed into a sequence: a token attends to its own document alone. Zero: a
  // sequence is one. Fused attention computes no more than that; unfused attention computes all scores and masks them.
  std::int64_t document_len = 0;
  std::int64_t tp = 1;
  SequenceParallel sequence_parallel = SequenceParallel::kOff;
  Precision precision = Precision::kBf16;  // of GEMM operands
  Bytes activation_element{2.0};           // bytes per stored activation element
  Bytes parameter_element{2.0};            // and per stored parameter; wider than activations: autocast
  Bytes gradient_element{2.0};             // bytes per element of the buffer that weight gradients accumulate into
  std::int64_t padded_vocab = 0;           // vocabulary after the framework's padding
  std::int64_t cp = 1;
  ContextParallel context_parallel = ContextParallel::kRing;
  std::int64_t context_inner = 1;  // of kHierarchical: ranks of the all-to-all, a divisor of cp
  std::int64_t ep = 1;
  std::int64_t expert_tp = 1;
  TokenDispatcher dispatcher = TokenDispatcher::kAllToAll;
  std::int64_t deep_ep_ranks_per_node = 8;  // of kDeepEp: a token crosses the network once per node, not per expert
  // Tokens that the router sends to this rank's experts over the mean of all ranks, and how those spread over its own
  // experts: each expert's share, summing to one; empty: evenly.
  double routed_load = 1.0;
  // The largest routed_load of the rank's expert group: an exchange is over for all when its busiest member has
  // received.
  double heaviest_load = 1.0;
  std::vector<double> expert_shares;
  // Of the visits that all ranks' tokens pay to experts, the share that no capacity drops.
  double kept_share = 1.0;
  // Tokens that every expert is padded to, as a multiple of the mean; nothing: experts get what is routed to them.
  std::optional<double> padded_capacity;

  std::int64_t local_seq_len() const { return (seq_len + cp - 1) / cp; }  // of this rank
};

// What the kernels of batch norms do on the way: nothing else; the sum and the activation behind them, which libraries
// have for NHWC (Source: NVIDIA DeepLearningExamples, MxNet/Classification/RN50v1.5, --fuse-bn-relu,
// --fuse-bn-add-relu); these, and the convolutions around them their sums, likewise (Source: cuDNN,
// CUDNN_FUSED_SCALE_BIAS_ACTIVATION_CONV_BNSTATS); sum and activation as a compiler fuses them, in any layout.
enum class BatchNormFusion { kNone, kActivation, kConvolution, kCompiled };
inline constexpr NameTable<BatchNormFusion, 4> kBatchNormFusionNames{{{{"none", BatchNormFusion::kNone},
                                                                       {"activation", BatchNormFusion::kActivation},
                                                                       {"convolution", BatchNormFusion::kConvolution},
                                                                       {"compiled", BatchNormFusion::kCompiled}}}};

// What a framework fuses into one kernel. Every option changes the list, never a hidden factor.
struct OperatorOptions {
  AttentionKernel attention = AttentionKernel::kFlash;
  Fusion bias_gelu = Fusion::kOn;  // bias + activation in one kernel (also SwiGLU)
  Fusion bias_dropout_add = Fusion::kOn;
  Fusion norm = Fusion::kOn;  // one-kernel LayerNorm / RMSNorm
  Fusion rope = Fusion::kOn;
  Fusion cross_entropy = Fusion::kOff;      // fused loss without fp32 copy of the logits
  Fusion wgrad_accumulation = Fusion::kOn;  // weight gradient accumulates in the GEMM's epilogue
  BatchNormFusion batch_norm = BatchNormFusion::kNone;
  ImageLayout images = ImageLayout::kNchw;  // in which convolutions, pools and batch norms see them
  Fusion linear_bias = Fusion::kOn;         // bias in the GEMM's epilogue, its gradient in the wgrad GEMM's
  // One GEMM for query, key and value and one for SwiGLU's gate and up projections, or one each.
  Fusion merged_projections = Fusion::kOn;
  // Whether gradients are added into a buffer that lives over micro-batches (Megatron's main gradient), or handed out
  // fresh by autograd (FSDP, which reduces them at once).
  Presence gradient_buffer = Presence::kPresent;
  // Megatron's vocabulary-parallel embedding and loss code, which it also runs at tp = 1, or PyTorch's own.
  Presence vocabulary_parallel = Presence::kPresent;
  // Backward of column-parallel linears: the input's gradient is reduced beside the wgrad GEMM and, with sequence
  // parallelism, the input is gathered beside the dgrad GEMM. Source: Megatron-LM, tensor_parallel/layers.py,
  // LinearWithGradAccumulationAndAsyncCommunication.
  TensorOverlap async_tensor_collectives = TensorOverlap::kOn;
  // With sequence parallelism: the gathers before GEMMs go round a ring beside the GEMM of the chunk that is there, the
  // scatters after GEMMs follow chunk by chunk. Source: Transformer Engine's user-buffer overlap, PyTorch's async
  // tensor parallelism.
  TensorOverlap chunked_tensor_collectives = TensorOverlap::kOff;
  Fusion router = Fusion::kOff;       // scores, top-k and load-balancing loss in one kernel each
  Fusion permutation = Fusion::kOn;   // tokens copied to their experts' order by one kernel
  Fusion grouped_gemm = Fusion::kOn;  // all experts in one kernel, or one GEMM after the other
  Fusion rope_latent = Fusion::kOn;   // latent attention: rotary positions and the concatenation of heads in one kernel
  TensorOverlap shared_experts = TensorOverlap::kOff;  // run beside the dispatch of tokens
  // Fused attention behind copies into the order it wants: queries, keys and values batch first, keys and values joined
  // and interleaved; sequence lengths counted from a mask. Source: nanotron, models/llama.py, CausalSelfAttention.
  Presence attention_copies = Presence::kAbsent;
  // BERT: the masked tokens are gathered in front of the head, which works on them alone.
  Presence gathered_predictions = Presence::kAbsent;
  // Unfused attention's softmax as one kernel on the operand format, which sums in fp32 inside, or by way of fp32
  // tensors.
  Presence softmax_casts = Presence::kPresent;
  // GeLU and layer norm as a graph of elementary operators that go by way of fp32 tensors, each a kernel of its own.
  // Source: TensorFlow without XLA runs google-research/bert, modeling.py (gelu) and tf.contrib.layers.layer_norm so;
  // with automatic mixed precision Pow and Mean, and what follows them, stay in fp32 (auto_mixed_precision_lists.h).
  Presence composed_pointwise = Presence::kAbsent;
  // Metrics of every micro-batch that evaluate PyTorch's cross entropy once more.
  std::int64_t loss_metrics = 0;
};
inline constexpr NameTable<ContextParallel, 4> kContextParallelNames{
    {{{"ring", ContextParallel::kRing},
      {"all_gather", ContextParallel::kAllGather},
      {"ulysses", ContextParallel::kUlysses},
      {"hierarchical", ContextParallel::kHierarchical}}}};
inline constexpr NameTable<TokenDispatcher, 3> kTokenDispatcherNames{{{{"all_to_all", TokenDispatcher::kAllToAll},
                                                                       {"all_gather", TokenDispatcher::kAllGather},
                                                                       {"deep_ep", TokenDispatcher::kDeepEp}}}};
inline constexpr NameTable<RecomputeModule, 6> kRecomputeModuleNames{
    {{{"core_attention", RecomputeModule::kCoreAttention},
      {"activation", RecomputeModule::kActivation},
      {"norm", RecomputeModule::kNorm},
      {"latent_up", RecomputeModule::kLatentUp},
      {"mlp", RecomputeModule::kMlp},
      {"experts", RecomputeModule::kExperts}}}};

// A collective over one group of this rank. Size as nccl-tests counts it; kSendRecv is one step of a ring: every member
// sends `size` to the next and receives as much from the one before.
struct GroupCollective {
  ParallelGroup group = ParallelGroup::kTensor;
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes size{};
  // How many of the operators that follow in the list may run beside this collective; the one after them waits for it.
  // Zero: the next operator waits, the collective is exposed.
  int overlapped_operators = 0;
  auto operator<=>(const GroupCollective&) const = default;
};

// The host waits until the device has come this far: it reads token counts back before it can launch what follows.
struct HostSync {
  auto operator<=>(const HostSync&) const = default;
};

// One operator is one kernel launch, or one collective call, of the host thread.
struct Operator {
  std::string_view name;  // a string literal: "qkv", "core_attention", "mlp_up", "tp_all_reduce", ...
  Pass pass = Pass::kForward;
  std::variant<Gemm, GroupedGemm, Attention, Convolution, MemoryBound, GroupCollective, HostSync> work;
};

// FLOPs that the list's GEMMs, attention kernels and convolutions execute.
Flops executed_flops(std::span<const Operator> operators);

// One transformer layer of a kind, read off its description (models/blocks). The backward list is in execution order:
// for each linear its dgrad, then its wgrad, with the collectives between them (with sequence parallelism the
// all-gather of the input for wgrad is a collective of the list).
std::vector<Operator> layer_forward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                    const OperatorOptions& options);
std::vector<Operator> layer_backward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                     const OperatorOptions& options);
// What the backward pass of a layer repeats first: nothing, the modules of the plan, or the layer's forward.
std::vector<Operator> layer_recompute(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                      const OperatorOptions& options, const RecomputePlan& plan);

// Parameters that one rank holds. Routed experts have fewer copies than the rest: their gradients are reduced, and
// their optimizer states cut, over ranks / (pp x ep x expert_tp) instead of dp x cp.
struct ParameterShare {
  std::int64_t shared = 0;
  std::int64_t experts = 0;
  std::int64_t trainable_shared = 0;
  std::int64_t trainable_experts = 0;
  // Of the trainable ones, those that all tensor-parallel ranks hold alike while each sees only a part of what their
  // gradients are sums over, a part of the tokens with sequence parallelism (norms, biases of row-parallel linears,
  // routers, down-projections of latent attention) or a part of the width (norms of queries and keys, the matrix of an
  // adapter that its linear's cut leaves whole): the gradients are summed over the ranks. How many numbers, and in how
  // many tensors. Source: Megatron-LM core/distributed/finalize_model_grads.py,
  // _allreduce_non_tensor_model_parallel_grads.
  std::int64_t alike = 0;
  std::int64_t alike_tensors = 0;

  std::int64_t total() const { return shared + experts; }
  std::int64_t trainable() const { return trainable_shared + trainable_experts; }
  ParameterShare& operator+=(const ParameterShare& other);
};
// Matrices between hidden layers that train, of one shape, as one rank holds them: linears, experts, filters as outputs
// x inputs of all their places. Not the embedding and the output matrix.
struct WeightMatrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t count = 0;
  Presence of_experts = Presence::kAbsent;  // which have fewer copies

  double elements() const { return static_cast<double>(rows * columns * count); }
};
std::vector<WeightMatrix> layer_matrices(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape);
std::vector<WeightMatrix> head_matrices(const ModelSpec& model, const ShardShape& shape);  // of predicted tokens

ParameterShare layer_share(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape);
// Of a layer's shared parameters, those in tensors of at most `most` elements on this rank.
std::int64_t small_parameters(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape, double most);
// Beside the layers of the first stage and of the last; the latter has the output matrix whether it is tied or not.
ParameterShare embedding_share(const ModelSpec& model, const ShardShape& shape);
ParameterShare head_share(const ModelSpec& model, const ShardShape& shape);

// Token (and position) embedding of the first stage.
std::vector<Operator> embedding_forward(const ModelSpec& model, const ShardShape& shape,
                                        const OperatorOptions& options);
std::vector<Operator> embedding_backward(const ModelSpec& model, const ShardShape& shape,
                                         const OperatorOptions& options);
// Final norm, vocabulary-parallel logits and loss of the last stage.
std::vector<Operator> head_forward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options);
std::vector<Operator> head_backward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options);

}  // namespace trainyard
