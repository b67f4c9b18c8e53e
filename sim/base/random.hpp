#pragma once
// Random numbers without a generator's state: a draw is a function of what it is drawn for. Results do not depend on
// who draws first, on threads, or on how much of a job is simulated.
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace trainyard {

// Spreads every input bit. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014
// (SplitMix64's mixer).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}
constexpr std::uint64_t combine(std::uint64_t a, std::uint64_t b) {
  return mix(a ^ (mix(b) + 0x2545f4914f6cdd1dU));
}

// A number that is different for every different double.
constexpr std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

// A draw named by a seed and a path of numbers below it: Draw(seed).of(rank).of(operation).
class Draw {
 public:
  explicit constexpr Draw(std::uint64_t seed) : state_(mix(seed)) {}
  constexpr Draw of(std::uint64_t key) const {
    Draw below = *this;
    below.state_ = combine(state_, key);
    return below;
  }

  // In (0, 1), of 53 bits.
  double uniform() const { return (static_cast<double>(mix(state_) >> 11U) + 0.5) * 0x1p-53; }
  // Of mean 0 and standard deviation 1: Box and Muller, "A note on the generation of random normal deviates", 1958.
  double normal() const {
    return std::sqrt(-2.0 * std::log(of(1).uniform())) * std::cos(2.0 * std::numbers::pi * of(2).uniform());
  }
  // The same where its magnitude is at most `most`: others are drawn again.
  double normal_within(double most) const {
    Draw attempt = *this;
    double value = attempt.normal();
    while (std::abs(value) > most) {
      attempt = attempt.of(3);
      value = attempt.normal();
    }
    return value;
  }
  // Log-normal of mean 1; `variance` is that of the factor itself.
  double log_normal(double variance) const {
    const double squared = std::log1p(variance);
    return std::exp(std::sqrt(squared) * normal() - squared / 2.0);
  }

 private:
  std::uint64_t state_;
};

}  // namespace trainyard
