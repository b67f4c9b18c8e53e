#pragma once
// How long a sequence is.
#include <cstdint>
#include <string>
#include <vector>

#include "models/model.hpp"

namespace trainyard {

// Tokens of a sequence where "training" does not state "seq_len": the model's longest, up to a length that pre-training
// uses; where it came from is said in `notes`. Throws UserError.
std::int64_t choose_seq_len(const JsonReader& training, const ModelSpec& model, std::vector<std::string>& notes);

}  // namespace trainyard
