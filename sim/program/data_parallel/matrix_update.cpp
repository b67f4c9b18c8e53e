// Optimizers that work with whole matrices: Muon makes the update of a matrix orthogonal by Newton-Schulz iterations
// (torch/optim/_muon.py; Jordan et al., "Muon", 2024), Shampoo multiplies it by roots of two preconditioners (arXiv
// 1802.09568). Replicas that share out what they update share out this work too, and whole matrices have to meet first:
// - flat partitions (Megatron, DeepSpeed) cut few matrices; momenta of matrices are gathered in 16 bits, and a rank
// works
//   on those that its partition touches (arXiv 2502.16982, section 2.3, Distributed Muon);
// - FSDP cuts all matrices: momenta travel to the ranks that matrices are dealt to, and the updates back;
// - replicas with a whole optimizer each do all of Muon's work each, and share out Shampoo's blocks, whose updates they
//   gather in fp32 (arXiv 2309.06497, section 4). Preconditioners of shards are those of the blocks in them.
// Tensor-parallel ranks work with their parts of matrices, as Megatron's blockwise mode does.
#include <algorithm>
#include <cmath>

#include "sim/program/data_parallel/strategy.hpp"

namespace trainyard {
namespace {

constexpr int kNewtonSchulzSteps = 5;
// Roots are computed anew every so many steps (arXiv 2309.06497, section 5: 50), by coupled Newton iterations of four
// products each for a fourth root (arXiv 2002.09018, section 3.2). How many iterations is an assumption.
constexpr double kRootInterval = 50.0;
constexpr double kRootIterations = 20.0;
constexpr double kProductsPerIteration = 4.0;

// GEMMs of 16 bits where the training has such; else its own format.
Precision orthogonal_precision(const Training& training) {
  const bool is_wide = bytes_per_element(training.precision) > bytes_per_element(Precision::kBf16);
  return is_wide || training.precision == Precision::kFp16 ? training.precision : Precision::kBf16;
}

class MatrixKernels {
 public:
  MatrixKernels(const Scenario& scenario, const KernelCosts& costs) : scenario_(&scenario), costs_(&costs) {}

  // `times` of a matrix are done, a fraction too: the slowest rank's share on average.
  void orthogonalise(const WeightMatrix& matrix, double times);
  void precondition(const WeightMatrix& matrix, double times);
  const KernelRun& run() const { return run_; }

 private:
  // One kernel for `times` matrices in a batch.
  void kernel(const KernelWork& work, double times) {
    const double rate = scenario_->framework.kernel_rate;
    const KernelSensitivity alone = costs_->sensitivity(work);
    const double whole = std::max(1.0, std::ceil(times));
    const double part = times / whole / rate;
    run_.append_equal(whole, scenario_->framework.host.forward_operator, costs_->time(work) * part,
                      {.multiprocessors = alone.multiprocessors * part, .memory = alone.memory * part});
  }

  const Scenario* scenario_;
  const KernelCosts* costs_;
  KernelRun run_;
};

// The copy in 16 bits and its norm; then three products a step, the second and the third with a matrix added.
void MatrixKernels::orthogonalise(const WeightMatrix& matrix, double times) {
  const Precision precision = orthogonal_precision(scenario_->training);
  const Bytes element = bytes_per_element(precision);
  const std::int64_t narrow = std::min(matrix.rows, matrix.columns);
  const std::int64_t wide = std::max(matrix.rows, matrix.columns);
  const double elements = static_cast<double>(narrow) * static_cast<double>(wide);
  const double gram = static_cast<double>(narrow) * static_cast<double>(narrow);
  for (const Bytes traffic : {bytes_per_element(scenario_->training.grad_dtype) + element, element, 2.0 * element}) {
    kernel(MemoryBound{.traffic = traffic * elements}, times);
  }
  for (int step = 0; step < kNewtonSchulzSteps; ++step) {
    kernel(Gemm{.m = narrow, .n = narrow, .k = wide, .precision = precision}, times);
    kernel(Gemm{.m = narrow, .n = narrow, .k = narrow, .precision = precision, .extra_traffic = element * gram}, times);
    kernel(Gemm{.m = narrow, .n = wide, .k = narrow, .precision = precision, .extra_traffic = element * elements},
           times);
  }
}

// Both preconditioners grow by the gradient's products, their roots are computed at times, the gradient is multiplied
// by both. In fp32, as torch.matmul does by default.
void MatrixKernels::precondition(const WeightMatrix& matrix, double times) {
  const std::int64_t down = preconditioner_blocks(matrix.rows);
  const std::int64_t across = preconditioner_blocks(matrix.columns);
  const std::int64_t height = (matrix.rows + down - 1) / down;
  const std::int64_t width = (matrix.columns + across - 1) / across;
  const double blocks = times * static_cast<double>(down * across);
  const auto product = [&](std::int64_t m, std::int64_t n, std::int64_t k, double count) {
    kernel(Gemm{.m = m, .n = n, .k = k, .precision = Precision::kFp32}, count);
  };
  const double root = blocks * kRootIterations * kProductsPerIteration / kRootInterval;
  for (const std::int64_t side : {height, width}) {
    product(side, side, side == height ? width : height, blocks);
    product(side, side, side, root);
  }
  product(height, width, height, blocks);
  product(height, width, width, blocks);
}

}  // namespace

void update_matrices(const StrategySite& site) {
  const Scenario& scenario = site.scenario;
  const MatrixUpdate update = optimizer_traits(scenario.training.optimizer).matrices;
  if (update == MatrixUpdate::kNone) {
    return;
  }
  const auto stage = static_cast<std::size_t>(site.stage);
  const Elements elements{site.layout.matrix_elements(stage, Presence::kAbsent),
                          site.layout.matrix_elements(stage, Presence::kPresent)};
  const bool is_sharded = scenario.training.zero_stage >= 1;
  const bool is_dealt = is_sharded && scenario.training.has_flat_shards();
  const bool is_orthogonal = update == MatrixUpdate::kOrthogonal;
  const auto meet = [&](CollectiveOp op, Bytes element, const Elements& moved, const std::string& name) {
    site.join(site.launch(ParallelGroup::kShard, op, element, moved, StreamName::kData, name, site.builder.frontier()));
  };
  // What one rank sends of its shard to whom matrices are dealt, or receives back.
  const Elements dealt{elements.shared / static_cast<double>(scenario.layout.hsdp_shard),
                       elements.experts / static_cast<double>(scenario.layout.expert_shard())};
  const Bytes momentum = bytes_per_element(orthogonal_precision(scenario.training));
  if (is_orthogonal && is_sharded) {
    meet(is_dealt ? CollectiveOp::kAllToAll : CollectiveOp::kAllGather, momentum, is_dealt ? dealt : elements,
         is_dealt ? "deal momenta" : "gather momenta");
  }
  MatrixKernels kernels(scenario, site.costs);
  MatrixKernels costliest(scenario, site.costs);  // of a single matrix, or block, that nobody shares out
  for (const WeightMatrix& matrix : site.layout.matrices[stage]) {
    const bool of_experts = matrix.of_experts == Presence::kPresent;
    const auto ranks = static_cast<double>(of_experts ? scenario.layout.expert_shard() : scenario.layout.hsdp_shard);
    const double count = static_cast<double>(matrix.count);
    MatrixKernels single(scenario, site.costs);
    if (is_orthogonal) {
      single.orthogonalise(matrix, 1.0);
    } else {
      single.precondition(matrix, 1.0 / static_cast<double>(preconditioner_blocks(matrix.rows) *
                                                            preconditioner_blocks(matrix.columns)));
    }
    if (single.run().device > costliest.run().device) {
      costliest = single;
    }
    if (!is_orthogonal) {
      kernels.precondition(matrix, count / ranks);
    } else if (!is_sharded) {
      kernels.orthogonalise(matrix, count);
    } else {
      // A flat partition touches a matrix more than fit into it, the one that it begins or ends within.
      const double touched = is_dealt ? 0.0 : matrix.elements() / (of_experts ? elements.experts : elements.shared);
      kernels.orthogonalise(matrix, std::min(count, count / ranks + touched));
    }
  }
  const bool is_shared = costliest.run().device < kernels.run().device;
  site.builder.kernels(Category::kOptimizer, is_orthogonal ? "orthogonalise matrices" : "precondition matrices",
                       is_shared ? kernels.run() : costliest.run());
  if (is_orthogonal && is_dealt) {
    meet(CollectiveOp::kAllToAll, momentum, dealt, "return updates");
  } else if (!is_orthogonal && !is_sharded) {
    meet(CollectiveOp::kAllGather, bytes_per_element(Precision::kFp32), elements, "gather updates");
  }
}

}  // namespace trainyard
