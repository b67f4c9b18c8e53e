#pragma once
// Whether accuracy was kept: fresh scores against the committed ones.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"

namespace trainyard {

inline constexpr double kScoreTolerance = 0.005;  // half a percentage point
// The section of scores over all tables; it means nothing when only some were run.
inline constexpr const char* kOverallSection = "overall";

// One line for every committed figure that got worse by more than the tolerance: errors, bias and regret that grew,
// rank correlation and right answers that shrank, rows that are not scored any more, scores that are gone. Both are
// documents of scores.json. `partial`: not all tables were run, so scores that `fresh` lacks, or has of fewer rows, are
// not missed.
std::vector<std::string> worse_scores(const Json& committed, const Json& fresh, bool partial);

// That a document has the form of scores.json: a network, sections that are not empty, scores with a name, rows that
// were simulated and figures that are numbers. Throws UserError.
void check_scores(const Json& document, const std::string& file);

// Figures of `fresh` that `committed` does not have: with them missing nothing could get worse. Names as "section,
// score: figure". `partial` as above.
std::vector<std::string> scores_without_match(const Json& committed, const Json& fresh, bool partial);

}  // namespace trainyard
