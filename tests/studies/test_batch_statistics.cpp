#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "sim/studies/batch_statistics.hpp"

using namespace trainyard;

namespace test_batch_statistics {

TEST_CASE("points on a line give back the line") {
  // E = 1000 (1 + B / 50): 1200 at 10, 2000 at 50, 5000 at 200.
  const BatchStatistics fit = fit_batch_statistics({{10.0, 1200.0}, {50.0, 2000.0}, {200.0, 5000.0}});
  CHECK(fit.least_samples == doctest::Approx(1000.0).epsilon(1e-12));
  CHECK(fit.critical_batch == doctest::Approx(50.0).epsilon(1e-12));
}

TEST_CASE("the critical batch needs twice the samples of tiny ones, and half again at half of it") {
  const BatchStatistics statistics{.least_samples = 1e6, .critical_batch = 400.0};
  CHECK(statistics.samples(400.0) == doctest::Approx(2e6));
  CHECK(statistics.samples(200.0) == doctest::Approx(1.5e6));
}

TEST_CASE("every fitted reference reproduces its published points within the error that its file states") {
  REQUIRE(batch_reference_names().size() >= 6);
  for (const std::string& name : batch_reference_names()) {
    CAPTURE(name);
    const BatchReference reference = load_batch_reference(name, "--statistics");
    CHECK(reference.points.size() >= 3);  // a line through two has no error to state
    CHECK(reference.fit.least_samples > 0.0);
    CHECK(reference.fit.critical_batch > 0.0);
    CHECK(reference.worst_error() <= reference.stated_error);
    CHECK(reference.worst_error() > 0.9 * reference.stated_error);  // what is stated is no looser than it has to be
  }
}

TEST_CASE("a sequence twice as long is two samples: target and critical batch keep their tokens") {
  const BatchReference reference = load_batch_reference("gpt3-175b", "--statistics");
  // Of 2048 tokens.
  const BatchStatistics longer = reference.at(4096.0);
  CHECK(longer.least_samples == doctest::Approx(reference.fit.least_samples / 2.0));
  CHECK(longer.critical_batch == doctest::Approx(reference.fit.critical_batch / 2.0));
  const BatchReference images = load_batch_reference("resnet50", "--statistics");
  CHECK(images.at(4096.0).critical_batch == images.fit.critical_batch);
}

TEST_CASE("a reference that is none names those that are") {
  try {
    load_batch_reference("resnet5", "--statistics");
    FAIL("it was taken");
  } catch (const UserError& error) {
    CHECK(error.fault().file == "--statistics");
    CHECK(error.fault().nearest == "resnet50");
  }
}

}  // namespace test_batch_statistics
