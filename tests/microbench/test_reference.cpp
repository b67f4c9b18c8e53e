// The float64 references, against values derived by hand: what the GPU's kernels are held to must be right itself.
#include <doctest/doctest.h>

#include <cmath>

#include "validation/microbench/dropout_mask.hpp"
#include "validation/microbench/reference.hpp"

namespace trainyard::reference::test_reference {
namespace {

TEST_CASE("LayerNorm centres and scales each row") {
  // Row 1, 3: mean 2, variance 1. Gain 2 and bias 10 give 10 -+ 2.
  const Values out = layer_norm(Values{1, 3, 5, 5}, Values{2, 2}, Values{10, 10}, 0.0);
  CHECK(out[0] == doctest::Approx(8));
  CHECK(out[1] == doctest::Approx(12));
  // A constant row has no variance: epsilon keeps it finite and the bias is left.
  CHECK(layer_norm(Values{5, 5}, Values{2, 2}, Values{10, 10}, 1e-5)[0] == doctest::Approx(10));
}

TEST_CASE("RMSNorm divides by the root of the mean square") {
  // 3, 4: mean square 12.5.
  CHECK(rms_norm(Values{3, 4}, Values{1, 2}, 0.0)[1] == doctest::Approx(2 * 4 / std::sqrt(12.5)));
}

TEST_CASE("causal softmax masks what comes later and sums to one") {
  const Values out = causal_softmax(Values{7, 9, std::log(1.0), std::log(3.0)}, 2, 1.0);
  CHECK(out[0] == doctest::Approx(1));
  CHECK(out[1] == 0.0);
  CHECK(out[2] == doctest::Approx(0.25));
  CHECK(out[3] == doctest::Approx(0.75));
}

TEST_CASE("activations have their known values") {
  const Values out = gelu(Values{0.0, 1.0, -1.0});
  CHECK(out[0] == 0.0);
  CHECK(out[1] == doctest::Approx(0.841192));                   // tanh form at 1: 0.5 (1 + tanh(0.833))
  CHECK(out[1] + out[2] == doctest::Approx(0.841192 * 2 - 1));  // gelu(x) - gelu(-x) = x
  // sigmoid(0) = 1/2, so a gate of zero gives nothing; a gate of 2 gives 2 sigmoid(2) times the other half.
  const Values gated = swiglu(Values{0, 2, 5, 3}, 2);
  CHECK(gated[0] == 0.0);
  CHECK(gated[1] == doctest::Approx(2.0 / (1.0 + std::exp(-2.0)) * 3.0));
}

TEST_CASE("dropout keeps the right share, scales what it keeps and leaves the residual") {
  const std::size_t count = 100000;
  const Values out = residual_dropout(Values(count, 1.0), Values(count, 5.0), 0.1, 42);
  std::size_t kept = 0;
  for (const double v : out) {
    const bool is_kept = v > 5.5;
    kept += is_kept ? 1U : 0U;
    CHECK((is_kept ? v == doctest::Approx(5.0 + 1.0 / 0.9) : v == 5.0));
  }
  // 90000 expected, standard deviation sqrt(100000 * 0.09) = 95.
  CHECK(kept > 89500);
  CHECK(kept < 90500);
  CHECK(dropout_keeps(1, 7, dropout_threshold(0.0)));
}

TEST_CASE("rotary embedding turns pairs by their position's angle and keeps lengths") {
  // Two positions of one head of four: position 0 stays, at position 1 pair 0 turns by one radian.
  const Values out = rotary(Values{1, 2, 3, 4, 1, 0, 0, 0}, 1, 4, 10000.0);
  CHECK(out[0] == 1.0);
  CHECK(out[3] == 4.0);
  CHECK(out[4] == doctest::Approx(std::cos(1.0)));
  CHECK(out[6] == doctest::Approx(std::sin(1.0)));
}

TEST_CASE("cross-entropy of equal logits is the log of their number") {
  const CrossEntropy out = cross_entropy(Values{2, 2, 2, 2}, std::vector<int>{1}, 4);
  CHECK(out.loss[0] == doctest::Approx(std::log(4.0)));
  CHECK(out.gradient[0] == doctest::Approx(0.25));
  CHECK(out.gradient[1] == doctest::Approx(-0.75));
}

TEST_CASE("embeddings gather rows and add their gradients, repeated ones twice") {
  CHECK(gather_rows(Values{1, 2, 3, 4}, std::vector<int>{1, 0, 1}, 2) == Values{3, 4, 1, 2, 3, 4});
  CHECK(scatter_add(Values{0, 0, 1, 1}, std::vector<int>{1, 1}, Values{1, 2, 3, 4}, 2) == Values{0, 0, 5, 7});
}

TEST_CASE("permuting heads and sequence twice is the identity") {
  Values x(120);  // 2 x 3 x 4 x 5
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<double>(i);
  }
  CHECK(permute_heads(permute_heads(x, 2, 3, 4, 5), 2, 4, 3, 5) == x);
}

TEST_CASE("Adam's first step moves by the rate, whatever the gradient's size, and decay shrinks") {
  // Without epsilon: first/second moments corrected are g and g^2, so the step is rate * sign(g).
  const AdamOptions options{.rate = 0.1, .epsilon = 0.0, .decay = 0.0, .step = 1};
  const AdamState after = adam({{1.0, 1.0}, {0, 0}, {0, 0}}, Values{5.0, -0.01}, options);
  CHECK(after.parameter[0] == doctest::Approx(0.9));
  CHECK(after.parameter[1] == doctest::Approx(1.1));
  const AdamState decayed = adam({{2.0}, {0}, {0}}, Values{0.0}, {.rate = 0.1, .decay = 0.5});
  CHECK(decayed.parameter[0] == doctest::Approx(2.0 - 0.1 * 0.5 * 2.0));
}

TEST_CASE("the norm is Euclid's") {
  CHECK(norm(Values{3, 4}) == doctest::Approx(5));
}

TEST_CASE("a GEMM's reference reads its operands as they lie and adds to what was there") {
  // [1 2; 3 4] [5 6; 7 8] = [19 22; 43 50], whichever way the operands are stored.
  const Gemm work{.m = 2, .n = 2, .k = 2};
  const Values rows_left{1, 2, 3, 4};
  const Values columns_left{1, 3, 2, 4};
  const Values rows_right{5, 6, 7, 8};
  const Values columns_right{5, 7, 6, 8};
  const Values before{1, 0, 0, 0};
  for (const Order left : {Order::kRows, Order::kColumns}) {
    for (const Order right : {Order::kRows, Order::kColumns}) {
      const Values out = gemm({.left = left == Order::kRows ? rows_left : columns_left,
                               .right = right == Order::kRows ? rows_right : columns_right,
                               .left_order = left,
                               .right_order = right},
                              work, before);
      CHECK(out == Values{20, 22, 43, 50});
    }
  }
}

TEST_CASE("the relative error sees a row of zeros among small values, a missing row and a NaN") {
  const Values reference{1e-4, 1e-4, 3.0, 4.0};
  CHECK(relative_error(reference, reference, 2) == 0.0);
  // All of the first row is lost: an absolute tolerance of 6e-3 would not see it.
  CHECK(relative_error(Values{0, 0, 3, 4}, reference, 2) == doctest::Approx(1.0));
  // 0.05 of a norm of 5.
  CHECK(relative_error(Values{1e-4, 1e-4, 3.0, 4.05}, reference, 2) == doctest::Approx(0.01));
  CHECK(std::isinf(relative_error(Values{1e-4, std::nan(""), 3, 4}, reference, 2)));
  CHECK(std::isinf(relative_error(Values{1e-4}, reference, 2)));
  // A row that must be zero is met exactly or not at all.
  CHECK(relative_error(Values{0, 0}, Values{0, 0}, 2) == 0.0);
  CHECK(std::isinf(relative_error(Values{0, 1e-9}, Values{0, 0}, 2)));
}

}  // namespace
}  // namespace trainyard::reference::test_reference
