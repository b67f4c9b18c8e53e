#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/files.hpp"
#include "validation/score/validate_memory.hpp"

namespace trainyard::test_validate_memory {

TEST_CASE("memory is scored on every published figure but the baselines") {
  const MemoryValidation scores =
      validate_memory(std::vector{home_folder() / "validation/published/memory/memory_korthikanti.csv"});
  // Eight rows of two figures; 20 of percentages, four of which are 100 % by definition.
  CHECK(scores.section.rows.size() == 8 * 2 + 16);
  CHECK(scores.section.scores.size() == 3);
  for (const ScoredRow& row : scores.section.rows) {
    CAPTURE(row.id);
    CAPTURE(row.score);
    // The figures count transformer layers alone. The embedding's dropout mask comes on top: a byte for each element
    // beside the two of a layer's input, which is all that full recomputation keeps of a layer.
    CHECK(std::abs(row.error()) < 0.25);
  }
}

TEST_CASE("a table of another kind is refused in words") {
  CHECK_THROWS_AS(validate_memory(std::vector{home_folder() / "validation/published/runs/runs_bigscience.csv"}),
                  UserError);
}

}  // namespace trainyard::test_validate_memory
