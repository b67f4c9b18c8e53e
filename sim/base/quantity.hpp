#pragma once
// Physical quantities whose unit is part of the type, so that wrong mixes do not compile.
// A quantity has exponents of second, byte and flop; a dimensionless result is a plain double.
#include <cmath>
#include <compare>

namespace trainyard {

template <int TimeExponent, int ByteExponent, int FlopExponent>
struct Quantity {
  double value = 0.0;  // in SI base units: seconds, bytes, flops

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator-() const { return {-value}; }
  constexpr Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value -= other.value;
    return *this;
  }
  constexpr Quantity& operator*=(double ratio) {
    value *= ratio;
    return *this;
  }
  constexpr Quantity& operator/=(double ratio) {
    value /= ratio;
    return *this;
  }
};

using Seconds = Quantity<1, 0, 0>;
using Bytes = Quantity<0, 1, 0>;
using Flops = Quantity<0, 0, 1>;
using Hertz = Quantity<-1, 0, 0>;
using BytesPerSecond = Quantity<-1, 1, 0>;
using FlopsPerSecond = Quantity<-1, 0, 1>;

template <int T, int B, int F>
constexpr Quantity<T, B, F> operator+(Quantity<T, B, F> a, Quantity<T, B, F> b) {
  return {a.value + b.value};
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> operator-(Quantity<T, B, F> a, Quantity<T, B, F> b) {
  return {a.value - b.value};
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> operator*(Quantity<T, B, F> a, double ratio) {
  return {a.value * ratio};
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> operator*(double ratio, Quantity<T, B, F> a) {
  return {ratio * a.value};
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> operator/(Quantity<T, B, F> a, double ratio) {
  return {a.value / ratio};
}
template <int T1, int B1, int F1, int T2, int B2, int F2>
constexpr auto operator*(Quantity<T1, B1, F1> a, Quantity<T2, B2, F2> b) {
  if constexpr (T1 + T2 == 0 && B1 + B2 == 0 && F1 + F2 == 0) {
    return a.value * b.value;
  } else {
    return Quantity<T1 + T2, B1 + B2, F1 + F2>{a.value * b.value};
  }
}
template <int T1, int B1, int F1, int T2, int B2, int F2>
constexpr auto operator/(Quantity<T1, B1, F1> a, Quantity<T2, B2, F2> b) {
  if constexpr (T1 == T2 && B1 == B2 && F1 == F2) {
    return a.value / b.value;
  } else {
    return Quantity<T1 - T2, B1 - B2, F1 - F2>{a.value / b.value};
  }
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> max(Quantity<T, B, F> a, Quantity<T, B, F> b) {
  return a.value < b.value ? b : a;
}
template <int T, int B, int F>
constexpr Quantity<T, B, F> min(Quantity<T, B, F> a, Quantity<T, B, F> b) {
  return b.value < a.value ? b : a;
}

inline namespace literals {
// NOLINTBEGIN(google-runtime-int)
constexpr Seconds operator""_s(long double v) {
  return {static_cast<double>(v)};
}
constexpr Seconds operator""_s(unsigned long long v) {
  return {static_cast<double>(v)};
}
constexpr Seconds operator""_ms(long double v) {
  return {static_cast<double>(v) * 1e-3};
}
constexpr Seconds operator""_ms(unsigned long long v) {
  return {static_cast<double>(v) * 1e-3};
}
constexpr Seconds operator""_us(long double v) {
  return {static_cast<double>(v) * 1e-6};
}
constexpr Seconds operator""_us(unsigned long long v) {
  return {static_cast<double>(v) * 1e-6};
}
constexpr Bytes operator""_B(unsigned long long v) {
  return {static_cast<double>(v)};
}
constexpr Bytes operator""_KiB(unsigned long long v) {
  return {static_cast<double>(v) * 1024.0};
}
constexpr Bytes operator""_MiB(unsigned long long v) {
  return {static_cast<double>(v) * 1048576.0};
}
constexpr Bytes operator""_GiB(unsigned long long v) {
  return {static_cast<double>(v) * 1073741824.0};
}
constexpr Bytes operator""_MB(unsigned long long v) {
  return {static_cast<double>(v) * 1e6};
}
constexpr Bytes operator""_GB(unsigned long long v) {
  return {static_cast<double>(v) * 1e9};
}
constexpr BytesPerSecond operator""_GBps(long double v) {
  return {static_cast<double>(v) * 1e9};
}
constexpr BytesPerSecond operator""_GBps(unsigned long long v) {
  return {static_cast<double>(v) * 1e9};
}
constexpr FlopsPerSecond operator""_TFLOPps(long double v) {
  return {static_cast<double>(v) * 1e12};
}
constexpr FlopsPerSecond operator""_TFLOPps(unsigned long long v) {
  return {static_cast<double>(v) * 1e12};
}
// NOLINTEND(google-runtime-int)
}  // namespace literals

}  // namespace trainyard
