#pragma once
// From a document to a scenario: at once, or in parts for callers that look at many layouts of one job.
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Reads and checks a scenario document (contract: the keys of sim/scenario/README.md). `file` names it in errors.
// A dp that is not given is what remains of the GPUs. Throws UserError (exit code 2) on unknown names and
// impossible layouts.
Scenario read_scenario(const Json& document, const std::string& file);

// Everything that the document says, with no values checked against one another: the stated layout may be no whole one.
// Throws UserError (exit code 2) on unknown names and values of the wrong kind.
Scenario read_job(const Json& document, const std::string& file);

// Reads the layout and the recipe of `document` anew, of a job whose model, cluster, GPUs, framework and seed are read
// already, and checks them: what has to be known of a layout before it is simulated. Throws UserError.
Scenario lay_out(Scenario job, const Json& document, const std::string& file);

// What is said about a scenario that `document` has led to, which takes as long as the checks: notes on keys that
// change nothing, and `resolved`. read_scenario(d, f) is lay_out(read_job(d, f), d, f), described.
void describe(Scenario& scenario, const Json& document, const std::string& file);

}  // namespace trainyard
