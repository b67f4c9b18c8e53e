#include <doctest/doctest.h>

#include <concepts>
#include <stdexcept>

#include "sim/base/quantity.hpp"
#include "sim/base/quantity_text.hpp"

using namespace trainyard;

namespace test_quantity {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept Comparable = requires(A a, B b) {
  a < b;
};

TEST_CASE("adding or comparing quantities of different dimension does not compile") {
  static_assert(Addable<Seconds, Seconds>);
  static_assert(!Addable<Seconds, Bytes>);
  static_assert(!Addable<Bytes, double>);
  static_assert(!Comparable<Flops, Bytes>);
  static_assert(!std::convertible_to<double, Seconds>);
}

TEST_CASE("dividing quantities gives the quantity of the quotient") {
  static_assert(std::same_as<decltype(Bytes{1} / Seconds{1}), BytesPerSecond>);
  static_assert(std::same_as<decltype(Bytes{1} / BytesPerSecond{1}), Seconds>);
  static_assert(std::same_as<decltype(Seconds{1} / Seconds{1}), double>);
  CHECK((100_GB / 50_GBps).value == doctest::Approx(2.0));
}

TEST_CASE("quantities are read with their unit") {
  CHECK(parse_bytes_per_second("200 Gb/s").value == doctest::Approx(25e9));  // bits: 200e9 / 8
  CHECK(parse_bytes("80 GiB").value == 80.0 * 1073741824.0);
  CHECK(parse_bytes("80GB").value == 80e9);
  CHECK(parse_seconds("2.5 us").value == doctest::Approx(2.5e-6));
  CHECK(parse_flops_per_second("989 TFLOP/s").value == doctest::Approx(989e12));
}

TEST_CASE("a quantity without unit, with a wrong one, negative or not finite is refused") {
  CHECK_THROWS_AS(parse_bytes("80"), std::invalid_argument);
  CHECK_THROWS_AS(parse_bytes("80 Gb"), std::invalid_argument);
  CHECK_THROWS_AS(parse_seconds("-1 s"), std::invalid_argument);
  CHECK_THROWS_AS(parse_seconds("nan s"), std::invalid_argument);
  CHECK_THROWS_AS(parse_seconds("inf s"), std::invalid_argument);
  CHECK_THROWS_AS(parse_seconds("1e999 s"), std::invalid_argument);
  CHECK_THROWS_AS(parse_seconds(""), std::invalid_argument);
}

TEST_CASE("text for people keeps one to three digits before the point") {
  CHECK(to_text(Seconds{0.00123}) == "1.23 ms");
  CHECK(to_text(Bytes{45.5 * 1073741824.0}) == "45.5 GiB");
  CHECK(to_text(Seconds{0.0}) == "0 ns");
}

}  // namespace test_quantity
