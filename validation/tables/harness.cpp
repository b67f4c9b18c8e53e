#include "validation/tables/harness.hpp"

#include <array>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

constexpr std::array<ParameterField<HarnessParameters>, 3> kFields = {{
    {"extra_time", nullptr, &HarnessParameters::extra_time, 0.0, 40e-6, 3e-6},
    {"clock_ratio", &HarnessParameters::clock_ratio, nullptr, 0.4, 1.0, 0.9},
    {"operand_pass", &HarnessParameters::operand_pass, nullptr, 0.0, 12.0, 3.0},
}};

Harness read_harness(const JsonReader& reader) {
  reader.expect_keys({"source", "why", "runs_as", "free", "attention_kernel", "attention_kernel_marker", "unfused",
                      "gpu_in_notes", "tensor_images", "tensor_channels"});
  Harness harness{.source = reader.at("source").text()};
  if (const auto runs_as = reader.find("runs_as")) {
    for (const auto& [name, as] : runs_as->members()) {
      const auto stated = kPrecisionNames.find(name);
      if (!stated) {
        as.fail("unknown precision", join_names(kPrecisionNames.names()));
      }
      harness.runs_as[*stated] = as.choice(kPrecisionNames);
    }
  }
  if (const auto free = reader.find("free")) {
    for (const auto& [name, parameters] : free->members()) {
      const auto family = kPrecisionFamilyNames.find(name);
      if (!family) {
        parameters.fail("unknown precision family", join_names(kPrecisionFamilyNames.names()));
      }
      for (const JsonReader& parameter : parameters.elements()) {
        harness.free[*family].push_back(parameter.text());
      }
    }
  }
  if (const auto kernel = reader.find("attention_kernel")) {
    harness.attention_kernel = kernel->text();
  }
  if (const auto marker = reader.find("attention_kernel_marker")) {
    harness.attention_kernel_marker = marker->text();
  }
  if (const auto unfused = reader.find("unfused")) {
    for (const JsonReader& kernel : unfused->elements()) {
      harness.unfused.push_back(kernel.text());
    }
  }
  if (const auto gpus = reader.find("gpu_in_notes")) {
    for (const auto& [word, gpu] : gpus->members()) {
      harness.gpu_in_notes[word] = gpu.text();
    }
  }
  if (const auto images = reader.find("tensor_images")) {
    harness.tensor_images = images->choice(kImageLayoutNames);
  }
  if (const auto channels = reader.find("tensor_channels")) {
    constexpr std::int64_t kMostChannels = 64;
    harness.tensor_channels = channels->integer(1, kMostChannels);
  }
  return harness;
}

}  // namespace

std::span<const ParameterField<HarnessParameters>> harness_parameter_fields() {
  return kFields;
}

HarnessParameters harness_for(const HarnessTable& table, const std::string& source, PrecisionFamily family) {
  if (const auto found = table.find({source, family}); found != table.end()) {
    return found->second;
  }
  if (const auto half = table.find({source, PrecisionFamily::kHalf}); half != table.end()) {
    return {.extra_time = half->second.extra_time, .clock_ratio = half->second.clock_ratio};
  }
  return {};
}

std::map<std::string, Harness> load_harnesses() {
  const auto path = home_folder() / "validation/published/kernels/harnesses.json";
  const Json document = read_json_file(path);
  std::map<std::string, Harness> harnesses;
  for (const JsonReader& element : JsonReader(document, path.string()).elements()) {
    Harness harness = read_harness(element);
    harnesses[harness.source] = std::move(harness);
  }
  return harnesses;
}

}  // namespace trainyard
