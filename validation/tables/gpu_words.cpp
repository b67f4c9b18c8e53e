#include "validation/tables/gpu_words.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"
#include "topologies/cluster.hpp"

namespace trainyard {
namespace {

// Runs of letters and digits, in lower case.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) {
    words.pop_back();
  }
  return words;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "GeForce GTX 1080 Ti" names the 1080ti: two words of a marketing name may be one of the catalogue's.
bool names_model(const std::vector<std::string>& words, const std::string& model) {
  if (contains(words, model)) {
    return true;
  }
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] + words[i + 1] == model) {
      return true;
    }
  }
  return false;
}

enum class Form { kNotSaid, kCard, kModule };

Form form_of(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    // NVL: PCIe cards, bridged in pairs.
    if (word.starts_with("pcie") || word == "nvl") {
      return Form::kCard;
    }
    if (word.starts_with("sxm")) {
      return Form::kModule;
    }
  }
  return Form::kNotSaid;
}

std::vector<std::string> device_names(const std::string& gpu) {
  const auto path = catalogue_path("kernels/gpus", "GPU", gpu, "the catalogue", "");
  const Json document = read_json_file(path);
  const JsonReader file(document, path.string());
  std::vector<std::string> names;
  if (const auto listed = file.find("device_names")) {
    for (const JsonReader& name : listed->elements()) {
      names.push_back(name.text());
    }
  }
  return names;
}

}  // namespace

bool may_mean_gpu(std::string_view text, const std::string& gpu) {
  const std::vector<std::string> words = words_of(text);
  const std::vector<std::string> catalogue = words_of(gpu);
  std::vector<std::string> models = device_names(gpu);
  models.push_back(catalogue.front());
  // "titanx_pascal" and "tpu-v4" are more than their first word; "Graphics Device" names no model.
  const bool names_none = text.find_first_of("0123456789") == std::string_view::npos;
  if (words == catalogue || names_none) {
    return true;
  }
  const Form said = form_of(words);
  const bool is_card = form_of(catalogue) == Form::kCard;
  if ((said == Form::kCard && !is_card) || (said == Form::kModule && is_card)) {
    return false;
  }
  return std::any_of(models.begin(), models.end(), [&](const std::string& model) {
    const std::vector<std::string> lower = words_of(model);
    return lower.size() == 1 && names_model(words, lower.front());
  });
}

std::optional<std::string> default_cluster(const std::string& gpu) {
  std::optional<std::string> best;
  std::tuple<bool, bool, bool> best_rank;
  for (const std::string& name : cluster_names()) {
    const std::string owned = load_cluster(name).gpu;
    if (!may_mean_gpu(gpu, owned)) {
      continue;
    }
    const bool exact = owned == gpu;
    const bool family = !exact && names_model(words_of(name), words_of(gpu).front());  // gb300 is gb300-nvl72's
    const std::tuple<bool, bool, bool> rank(exact, family, name.starts_with("dgx-"));
    if (!best || rank > best_rank) {
      best = name;
      best_rank = rank;
    }
  }
  return best;
}

}  // namespace trainyard
