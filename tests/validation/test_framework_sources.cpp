#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <sstream>

#include "sim/base/csv.hpp"
#include "sim/base/files.hpp"
#include "sim/scenario/framework.hpp"
#include "sim/scenario/framework_document.hpp"
#include "validation/fit/fit_framework.hpp"

namespace trainyard::test_framework_sources {
namespace {

constexpr std::string_view kFit = "fit: trainyard calibrate ";
constexpr std::string_view kTransferred = "transferred from ";

Json document_of(const std::string& framework) {
  return framework_document(framework).document;
}

// Empty where the document does not have the key.
std::string source(const Json& document, const std::string& key) {
  return document.at("sources").value(key, "");
}

constexpr std::array<const char*, 3> kFitted = {"host", "kernel_rate", "memory_rate"};

// The words of a command up to a semicolon.
std::vector<std::string> words_of_command(const std::string& source) {
  std::istringstream text(source.substr(kFit.size(), source.find(';') - kFit.size()));
  std::vector<std::string> words;
  for (std::string word; text >> word;) {
    words.push_back(word);
  }
  return words;
}

std::string option(const std::vector<std::string>& words, const std::string& name) {
  const auto found = std::find(words.begin(), words.end(), name);
  return found == words.end() || found + 1 == words.end() ? "" : *(found + 1);
}

std::vector<std::string> fitted_parameters(const Json& document) {
  std::vector<std::string> out;
  for (const char* key : kFitted) {
    if (const std::string text = source(document, key); text.starts_with(kFit)) {
      std::istringstream names(option(words_of_command(text), "--parameters"));
      for (std::string name; std::getline(names, name, ',');) {
        out.push_back(name);
      }
    }
  }
  return out;
}

double value_of(const Json& fitted, const std::string& parameter) {
  if (parameter == "kernel_rate" || parameter == "memory_rate") {
    return fitted.value(parameter, 1.0);
  }
  return JsonReader(fitted, "fit").at("host").at(parameter).seconds().value;
}

}  // namespace

TEST_CASE("every value of every framework profile has a source") {
  for (const std::string& name : framework_names()) {
    CAPTURE(name);
    const Json document = document_of(name);
    for (const auto& [key, value] : document.items()) {
      if (key == "description" || key == "sources" || key == "fits") {
        continue;
      }
      CAPTURE(key);
      REQUIRE(document.at("sources").contains(key));
      CHECK(source(document, key).size() > 10);
    }
    for (const auto& [key, text] : document.at("sources").items()) {
      CHECK(document.contains(key));
    }
  }
}

TEST_CASE("a fit's source is the command that repeats it, on tables that are there") {
  const std::vector<std::string> parameters = fitted_parameter_names();
  std::size_t fits = 0;
  for (const std::string& name : framework_names()) {
    const Json document = document_of(name);
    for (const char* key : kFitted) {
      const std::string text = source(document, key);
      CAPTURE(name);
      CAPTURE(text);
      const bool is_fitted = text.find("fit:") != std::string::npos;
      CHECK(is_fitted == text.starts_with(kFit));
      if (!is_fitted) {
        continue;
      }
      ++fits;
      const std::vector<std::string> words = words_of_command(text);
      CHECK(option(words, "--framework") == name);
      REQUIRE(words.back().ends_with(".csv"));
      CHECK(std::filesystem::exists(home_folder() / words.back()));
      const std::string table = std::filesystem::path(words.back()).stem().string();
      const Json& blocks = document.at("fits");
      CHECK(std::any_of(blocks.begin(), blocks.end(), [&](const Json& block) { return block.at("table") == table; }));
    }
    for (const std::string& parameter : fitted_parameters(document)) {
      CHECK(std::find(parameters.begin(), parameters.end(), parameter) != parameters.end());
    }
  }
  CHECK(fits == 9);
}

TEST_CASE("a value for everybody lies between those of the folds that it was fitted in") {
  // A profile's values are printed with four digits.
  constexpr double kPrinted = 1e-3;
  for (const std::string& name : framework_names()) {
    const Json document = document_of(name);
    for (const std::string& parameter : fitted_parameters(document)) {
      CAPTURE(name);
      CAPTURE(parameter);
      // The block whose folds differ in the parameter is the one of its fit.
      bool is_fitted_somewhere = false;
      for (const Json& block : document.at("fits")) {
        std::vector<double> folds;
        for (const Json& fold : block.at("held_out")) {
          folds.push_back(value_of(fold, parameter));
        }
        const auto [least, most] = std::minmax_element(folds.begin(), folds.end());
        const double shipped = value_of(document, parameter);
        const bool within = shipped >= *least * (1.0 - kPrinted) && shipped <= *most * (1.0 + kPrinted);
        is_fitted_somewhere = is_fitted_somewhere || within;
        if (*most > *least) {
          CHECK(within);
        }
      }
      CHECK(is_fitted_somewhere);
    }
  }
}

TEST_CASE("a transferred value is the other profile's") {
  for (const std::string& name : framework_names()) {
    const Json document = document_of(name);
    for (const char* key : kFitted) {
      const std::string text = source(document, key);
      if (text.starts_with(kTransferred)) {
        CAPTURE(name);
        const std::string from = text.substr(kTransferred.size(), text.find(':') - kTransferred.size());
        CHECK(document.at(key) == document_of(from).at(key));
      }
    }
  }
}

}  // namespace trainyard::test_framework_sources
