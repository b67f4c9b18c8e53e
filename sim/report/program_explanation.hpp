#pragma once
// What the text and the JSON of a program have in common.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "sim/program/listing.hpp"
#include "sim/report/explanation.hpp"
#include "sim/schedules/pipeline.hpp"

namespace trainyard {

struct ExplainedClass {
  std::string name;
  std::size_t stage = 0;
  std::size_t ranks = 0;
  std::size_t model = 0;  // index into ExplainedProgram::models
  std::vector<ListedOperation> operations;
  PassOrder passes;
};

// A model as one kind of GPU and, where experts get unequal numbers of tokens, one expert-parallel coordinate runs it.
struct ExplainedModel {
  std::string name;  // empty where there is one
  std::vector<ListedPart> parts;
};

struct ExplainedProgram {
  std::vector<ExplainedModel> models;
  std::vector<ExplainedClass> classes;
};

ExplainedProgram explain(const Scenario& scenario, const Layout& layout, const Program& program,
                         std::span<const KernelCosts* const> costs);

// As a schedule table writes it: "F0", "B1.2" of chunk 2, "W0".
std::string pass_text(const StagePass& pass);

}  // namespace trainyard
