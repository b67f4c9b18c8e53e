#include <doctest/doctest.h>

#include "kernels/gpu.hpp"
#include "kernels/kernel_costs.hpp"

using namespace trainyard;

namespace test_attention_shapes {

TEST_CASE("a window costs its keys, and none as long as the sequence costs nothing") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const auto costs = calibrated_kernel_costs(gpu);
  const Attention all{.batch = 1, .heads = 32, .kv_heads = 8, .seq_q = 32768, .seq_kv = 32768, .head_dim = 128};
  Attention windowed = all;
  windowed.window = 32768;
  CHECK(costs->attention(windowed) == costs->attention(all));
  windowed.window = 2048;
  // 2048 - 2048^2 / 65536 = 1984 keys of the 16384 that causal queries see on average, tiles at both edges beside them.
  const double ratio = costs->attention(windowed) / costs->attention(all);
  CHECK(ratio > 1984.0 / 16384.0);
  CHECK(ratio < 1.5 * 1984.0 / 16384.0);
  Seconds last{};
  for (const std::int64_t window : {512, 1024, 4096, 16384, 32768}) {
    windowed.window = window;
    CHECK(costs->attention(windowed) > last);
    last = costs->attention(windowed);
  }
}

TEST_CASE("narrow values make attention cheaper than wide ones, by their share of the products") {
  const auto costs = calibrated_kernel_costs(load_gpu("h100-sxm"));
  // Latent attention: queries and keys of 192, values of 128.
  Attention latent{.batch = 1, .heads = 128, .kv_heads = 128, .seq_q = 4096, .seq_kv = 4096, .head_dim = 192};
  const Seconds wide = costs->attention(latent);
  latent.value_dim = 128;
  const Seconds narrow = costs->attention(latent);
  latent.head_dim = 160;
  latent.value_dim = 0;
  CHECK(narrow < wide);
  CHECK(narrow == costs->attention(latent));  // the mean of both dimensions
}

}  // namespace test_attention_shapes
