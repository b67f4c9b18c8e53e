#include <doctest/doctest.h>

#include <algorithm>

#include "sim/report/uncertainty.hpp"
#include "sim/scenario/framework.hpp"

using namespace trainyard;

namespace test_uncertainty {

namespace {

const std::vector<ValidatedFamily> kFamilies = {
    {.framework = "one", .tables = {"a.csv"}, .step = {.rows = 10, .p90_abs_error = 0.25}},
    {.framework = "two",
     .tables = {"b.csv", "c.csv"},
     .step = {.rows = 20, .p90_abs_error = 0.5},
     .memory = ErrorBand{.rows = 40, .p90_abs_error = 0.25}}};

}  // namespace

TEST_CASE("the band is where a measurement within the error would lie") {
  // predicted = measured (1 +- 0.25), so measured is 10 / 1.25 = 8 at least and 10 / 0.75 = 13.33 at most.
  const Uncertainty band = uncertainty_of(Seconds{10.0}, "one", kFamilies);
  CHECK(band.low.value == doctest::Approx(8.0));
  CHECK(band.high->value == doctest::Approx(40.0 / 3.0));
  CHECK(band.basis.find("a.csv") != std::string::npos);
  CHECK(band.basis.find("10 measured runs") != std::string::npos);
}

TEST_CASE("a profile without measured runs gets the widest band and says so") {
  const Uncertainty band = uncertainty_of(Seconds{10.0}, "three", kFamilies);
  CHECK(band.low.value == doctest::Approx(10.0 / 1.5));
  CHECK(band.high->value == doctest::Approx(20.0));
  CHECK(band.basis.find("no measured runs of three that bound it") != std::string::npos);
  CHECK(band.basis.find("b.csv, c.csv") != std::string::npos);
}

TEST_CASE("memory has a band of its own, and a profile whose memory was never measured gets the widest") {
  // Within a quarter: 10 / 1.25 = 8 to 10 / 0.75.
  const MemoryUncertainty own = uncertainty_of(Bytes{10.0}, "two", kFamilies);
  CHECK(own.low.value == doctest::Approx(8.0));
  CHECK(own.high->value == doctest::Approx(40.0 / 3.0));
  CHECK(own.basis.find("40 measured peaks of memory of two") != std::string::npos);
  const MemoryUncertainty other = uncertainty_of(Bytes{10.0}, "one", kFamilies);
  CHECK(other.low.value == doctest::Approx(8.0));
  CHECK(other.basis.find("no measured peaks of memory of one that bound it") != std::string::npos);
  CHECK(to_json(other).at("low_bytes") == other.low.value);
}

TEST_CASE("nothing to judge by says so") {
  const Uncertainty none = uncertainty_of(Seconds{10.0}, "one", {});
  CHECK(none.basis.find("no band") != std::string::npos);
  CHECK_FALSE(none.high.has_value());
}

TEST_CASE("errors of the whole and more, and fewer than ten rows, are no band: another's is taken, or none") {
  std::vector<ValidatedFamily> wild = {
      {.framework = "wild", .tables = {"a.csv"}, .step = {.rows = 30, .p90_abs_error = 1.5}},
      {.framework = "few", .tables = {"d.csv"}, .step = {.rows = 9, .p90_abs_error = 0.1}}};
  for (const char* framework : {"wild", "few"}) {
    const Uncertainty none = uncertainty_of(Seconds{10.0}, framework, wild);
    CHECK_FALSE(none.high.has_value());
    CHECK(none.basis.find('%') == std::string::npos);
  }
  wild.push_back(kFamilies.front());
  // Within a quarter, as the only one that bounds anything: 8 to 13.33.
  CHECK(uncertainty_of(Seconds{10.0}, "wild", wild).low.value == doctest::Approx(8.0));
}

TEST_CASE("the accuracy that ships is of framework profiles that exist") {
  const std::vector<std::string> names = framework_names();
  const std::vector<ValidatedFamily> families = load_accuracy();
  CHECK_FALSE(families.empty());
  for (const ValidatedFamily& family : families) {
    CHECK(std::find(names.begin(), names.end(), family.framework) != names.end());
    CHECK(family.step.rows > 0);
    CHECK_FALSE(family.tables.empty());
  }
}

}  // namespace test_uncertainty
