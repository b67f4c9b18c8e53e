#include "validation/tables/run_network.hpp"

#include <algorithm>
#include <array>

#include "models/load_model.hpp"

namespace trainyard {
namespace {

// Letters and digits alone, small; what stands before a slash names a collection.
std::string bare(std::string_view text) {
  if (const auto slash = text.rfind('/'); slash != std::string_view::npos) {
    text = text.substr(slash + 1);
  }
  std::string out;
  for (const char c : text) {
    const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if ((small >= 'a' && small <= 'z') || (small >= '0' && small <= '9')) {
      out += small;
    }
  }
  return out;
}

struct Spelling {
  std::string_view bare;
  std::string_view name;
};
// Beside the catalogue's own. "v1.5" has its stride in the second convolution of a block, as the catalogue has it;
// ResNets without the word are taken for it, and differ by some 5 % in their operations.
constexpr std::array<Spelling, 11> kSpellings = {{{"rn50v15", "resnet-50"},
                                                  {"resnet50v15", "resnet-50"},
                                                  {"resnetv15", "resnet-50"},
                                                  {"inception3", "inception-v3"},
                                                  {"efficientnetv1b0", "efficientnet-b0"},
                                                  {"efficientnetv1b4", "efficientnet-b4"},
                                                  {"efficientnetv1efficientnetv1b0", "efficientnet-b0"},
                                                  {"efficientnetv1efficientnetv1b4", "efficientnet-b4"},
                                                  {"efficientnetefficientnetb0", "efficientnet-b0"},
                                                  {"efficientnetefficientnetb4", "efficientnet-b4"},
                                                  {"seresnext10132x4d", "se-resnext-101-32x4d"}}};

}  // namespace

std::optional<std::string> network_named(std::string_view text) {
  const std::string word = bare(text);
  const auto spelled =
      std::find_if(kSpellings.begin(), kSpellings.end(), [&](const Spelling& one) { return one.bare == word; });
  if (spelled != kSpellings.end()) {
    return std::string(spelled->name);
  }
  for (const std::string& name : model_names()) {
    if (bare(name) == word && load_model(name).network) {
      return name;
    }
  }
  return std::nullopt;
}

}  // namespace trainyard
