#include "sim/scenario/sequence_length.hpp"

#include <fmt/format.h>

namespace trainyard {
namespace {

constexpr std::int64_t kMostTokens = 100'000'000;
// Pre-training hardly goes beyond this many tokens a sequence; longer contexts are trained for afterwards. Source:
// Llama 3 (arXiv 2407.21783, section 3.4): 8192; Qwen 2.5 (arXiv 2412.15115, section 3) and DeepSeek-V3 (arXiv
// 2412.19437, section 4.1): 4096.
constexpr std::int64_t kLongestDefaultSequence = 8192;

}  // namespace

std::int64_t choose_seq_len(const JsonReader& training, const ModelSpec& model, std::vector<std::string>& notes) {
  if (const auto stated = training.find("seq_len")) {
    return stated->integer(1, kMostTokens);
  }
  if (model.network) {
    return 1;  // a sample
  }
  if (model.seq_len <= kLongestDefaultSequence) {
    notes.push_back(
        fmt::format("sequences of {} tokens, the longest of {}; training.seq_len (--seq-len) sets another length",
                    model.seq_len, model.name));
    return model.seq_len;
  }
  notes.push_back(
      fmt::format("sequences of {} tokens, the longest that are taken unasked, where {} goes to {}; "
                  "training.seq_len (--seq-len) sets another length",
                  kLongestDefaultSequence, model.name, model.seq_len));
  return kLongestDefaultSequence;
}

}  // namespace trainyard
