#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/attention_model.hpp"

namespace trainyard::test_attention_model {
namespace {

GpuSpec round_gpu() {
  GpuSpec gpu;
  gpu.multiprocessors = 100;
  gpu.boost_clock = {1e9};
  gpu.peak = {{Precision::kFp32, {1e13}}, {Precision::kBf16, {1e14}}};
  gpu.memory_bandwidth = {1e12};
  gpu.l2_cache = {4e7};
  return gpu;
}

AttentionParameters ideal() {
  return {.fixed_time = {},
          .tensor_efficiency = 1.0,
          .softmax_depth = 0.0,
          .fill_rows = 0.0,
          .tail_share = 0.0,
          .memory_efficiency = 1e6,
          .kv_passes = 1.0};
}

TEST_CASE("attention to nothing takes no time") {
  CHECK(attention_time({}, round_gpu(), ideal(), 1.0) == Seconds{});
}

TEST_CASE("ideal full attention runs its counted FLOPs at the peak rate, backward 2.5 times as long") {
  Attention work{
      .batch = 4, .heads = 16, .kv_heads = 16, .seq_q = 4096, .seq_kv = 4096, .head_dim = 128, .mask = Mask::kFull};
  const Seconds forward = attention_time(work, round_gpu(), ideal(), 1.0);
  CHECK(forward.value == doctest::Approx(work.flops().value / 1e14).epsilon(1e-9));
  work.direction = Direction::kBackward;
  CHECK(attention_time(work, round_gpu(), ideal(), 1.0) / forward == doctest::Approx(2.5));
}

TEST_CASE("causal attention costs half of full attention plus its diagonal tiles") {
  // A tile of 128 queries sees (s + 128) / 2 keys on average instead of s: at s = 4096 the ratio is 2112 / 4096.
  Attention work{.batch = 4, .heads = 16, .kv_heads = 16, .seq_q = 4096, .seq_kv = 4096, .head_dim = 128};
  const Seconds causal = attention_time(work, round_gpu(), ideal(), 1.0);
  work.mask = Mask::kFull;
  CHECK(causal / attention_time(work, round_gpu(), ideal(), 1.0) == doctest::Approx(2112.0 / 4096.0));
}

TEST_CASE("grouped keys and values save memory traffic only") {
  AttentionParameters parameters = ideal();
  const Attention many{.batch = 1, .heads = 64, .kv_heads = 64, .seq_q = 256, .seq_kv = 256, .head_dim = 128};
  Attention few = many;
  few.kv_heads = 8;
  CHECK(attention_time(many, round_gpu(), parameters, 1.0).value ==
        doctest::Approx(attention_time(few, round_gpu(), parameters, 1.0).value));
  parameters.memory_efficiency = 0.5;
  CHECK(attention_time(few, round_gpu(), parameters, 1.0) < attention_time(many, round_gpu(), parameters, 1.0));
}

TEST_CASE("longer sequences, more heads and a lower clock are never faster") {
  CHECK(rc::check([] {
    Attention work{.batch = *rc::gen::inRange(1, 64),
                   .heads = *rc::gen::inRange(1, 64),
                   .kv_heads = 1,
                   .head_dim = *rc::gen::element(64, 96, 128, 192, 256)};
    work.seq_q = work.seq_kv = *rc::gen::inRange(1, 16384);
    AttentionParameters parameters = ideal();
    parameters.fill_rows = 100.0;
    parameters.tail_share = 0.5;
    parameters.memory_efficiency = 0.7;
    const Seconds time = attention_time(work, round_gpu(), parameters, 1.0);
    RC_ASSERT(attention_time(work, round_gpu(), parameters, 0.9) >= time);
    Attention larger = work;
    larger.seq_q = larger.seq_kv = work.seq_q + *rc::gen::inRange(0, 1000);
    RC_ASSERT(attention_time(larger, round_gpu(), parameters, 1.0) >= time);
    larger = work;
    larger.heads += 1;
    RC_ASSERT(attention_time(larger, round_gpu(), parameters, 1.0).value >= time.value * (1.0 - 1e-12));
  }));
}

}  // namespace
}  // namespace trainyard::test_attention_model
