#include "kernels/calibration.hpp"

#include <algorithm>
#include <array>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

using Family = PrecisionFamily;

// Families in the order in which they stand in for one another: the nearest arithmetic first.
std::array<Family, 6> substitutes(Family family) {
  switch (family) {
    case Family::kHalf:
      return {Family::kHalf, Family::kTf32, Family::kFp32, Family::kFp8, Family::kFp8Block, Family::kFp4};
    case Family::kFp8:
      return {Family::kFp8, Family::kFp8Block, Family::kHalf, Family::kTf32, Family::kFp32, Family::kFp4};
    case Family::kFp8Block:
      return {Family::kFp8Block, Family::kFp8, Family::kHalf, Family::kTf32, Family::kFp32, Family::kFp4};
    case Family::kFp4:
      return {Family::kFp4, Family::kFp8, Family::kFp8Block, Family::kHalf, Family::kTf32, Family::kFp32};
    case Family::kTf32:
      return {Family::kTf32, Family::kHalf, Family::kFp32, Family::kFp8, Family::kFp8Block, Family::kFp4};
    case Family::kFp32:
      return {Family::kFp32, Family::kTf32, Family::kHalf, Family::kFp8, Family::kFp8Block, Family::kFp4};
  }
  return {};
}

template <class Value>
const Value& nearest_family(const std::map<Family, Value>& by_family, Precision precision) {
  for (const Family family : substitutes(family_of(precision))) {
    if (const auto found = by_family.find(family); found != by_family.end()) {
      return found->second;
    }
  }
  TY_ASSERT(!by_family.empty());
  return by_family.begin()->second;
}

PrecisionFamily read_family(const std::string& name, const JsonReader& at) {
  const auto family = kPrecisionFamilyNames.find(name);
  if (!family) {
    at.fail("unknown precision family", join_names(kPrecisionFamilyNames.names()),
            nearest_name(name, kPrecisionFamilyNames.names()).value_or(""));
  }
  return *family;
}

}  // namespace

PrecisionFamily family_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return Family::kFp32;
    case Precision::kTf32:
      return Family::kTf32;
    case Precision::kFp16:
    case Precision::kBf16:
      return Family::kHalf;
    case Precision::kFp8:
    case Precision::kMxFp8:
      return Family::kFp8;
    case Precision::kFp8Block:
      return Family::kFp8Block;
    case Precision::kFp4:
    case Precision::kNvFp4:
      return Family::kFp4;
  }
  return Family::kHalf;
}

const GemmParameters& KernelCalibration::gemm_for(Precision precision) const {
  return nearest_family(gemm, precision);
}

const AttentionCalibration& KernelCalibration::attention_for(Precision precision,
                                                             std::string_view implementation) const {
  auto found = attention.find(std::string(implementation));
  if (found == attention.end()) {
    found = attention.find(nearest_family(default_attention, precision));
  }
  TY_ASSERT(found != attention.end());
  return nearest_family(found->second, precision);
}

namespace {

void read_attention(const JsonReader& reader, KernelCalibration& calibration) {
  reader.expect_keys({"default", "implementations"});
  for (const auto& [implementation, families] : reader.at("implementations").members()) {
    for (const auto& [name, directions] : families.members()) {
      directions.expect_keys({"forward", "backward"});
      calibration.attention[implementation][read_family(name, directions)] = {
          .forward = read_parameters<AttentionParameters>(directions.at("forward"), attention_parameter_fields()),
          .backward = read_parameters<AttentionParameters>(directions.at("backward"), attention_parameter_fields())};
    }
  }
  for (const auto& [name, implementation] : reader.at("default").members()) {
    if (calibration.attention.find(implementation.text()) == calibration.attention.end()) {
      implementation.fail("the default attention kernel is not among the implementations");
    }
    calibration.default_attention[read_family(name, implementation)] = implementation.text();
  }
  if (calibration.default_attention.empty()) {
    reader.fail("a profile needs a default attention kernel for at least one precision family");
  }
}

Json attention_json(const KernelCalibration& calibration) {
  Json implementations = Json::object();
  for (const auto& [implementation, families] : calibration.attention) {
    Json by_family = Json::object();
    for (const auto& [family, directions] : families) {
      by_family[std::string(kPrecisionFamilyNames.name_of(family))] = {
          {"forward", write_parameters<AttentionParameters>(directions.forward, attention_parameter_fields())},
          {"backward", write_parameters<AttentionParameters>(directions.backward, attention_parameter_fields())}};
    }
    implementations[implementation] = std::move(by_family);
  }
  Json defaults = Json::object();
  for (const auto& [family, implementation] : calibration.default_attention) {
    defaults[std::string(kPrecisionFamilyNames.name_of(family))] = implementation;
  }
  return {{"default", std::move(defaults)}, {"implementations", std::move(implementations)}};
}

}  // namespace

// `fit` says what the parameters were fitted to and how well; it is for people and is not read.
KernelCalibration parse_calibration(const JsonReader& reader) {
  reader.expect_keys({"gpu", "architecture", "gemm", "attention", "memory_bound", "derived_from", "fit"});
  KernelCalibration calibration;
  calibration.name = reader.at("gpu").text();
  calibration.architecture = reader.at("architecture").text();
  for (const auto& [name, parameters] : reader.at("gemm").members()) {
    calibration.gemm[read_family(name, parameters)] =
        read_parameters<GemmParameters>(parameters, gemm_parameter_fields());
  }
  if (calibration.gemm.empty()) {
    reader.at("gemm").fail("a profile needs at least one precision family");
  }
  read_attention(reader.at("attention"), calibration);
  if (const auto derived_from = reader.find("derived_from")) {
    for (const JsonReader& id : derived_from->elements()) {
      calibration.derived_from.push_back(id.text());
    }
  }
  const JsonReader memory_bound = reader.at("memory_bound");
  memory_bound.expect_keys({"elementwise", "reduction"});
  calibration.memory_bound = {.elementwise = read_parameters<MemoryBoundParameters>(memory_bound.at("elementwise"),
                                                                                    memory_bound_parameter_fields()),
                              .reduction = read_parameters<MemoryBoundParameters>(memory_bound.at("reduction"),
                                                                                  memory_bound_parameter_fields())};
  return calibration;
}

Json to_json(const KernelCalibration& calibration) {
  Json gemm = Json::object();
  for (const auto& [family, parameters] : calibration.gemm) {
    gemm[std::string(kPrecisionFamilyNames.name_of(family))] =
        write_parameters<GemmParameters>(parameters, gemm_parameter_fields());
  }
  const auto memory_bound = [](const MemoryBoundParameters& parameters) {
    return write_parameters<MemoryBoundParameters>(parameters, memory_bound_parameter_fields());
  };
  return {{"gpu", calibration.name},
          {"architecture", calibration.architecture},
          {"gemm", std::move(gemm)},
          {"attention", attention_json(calibration)},
          {"memory_bound",
           {{"elementwise", memory_bound(calibration.memory_bound.elementwise)},
            {"reduction", memory_bound(calibration.memory_bound.reduction)}}}};
}

std::string measured_attention_kernel(const JsonReader& name) {
  std::vector<std::string> known;
  for (const std::string& calibration : catalogue_names(kCalibrationFolder)) {
    const auto path = home_folder() / kCalibrationFolder / (calibration + ".json");
    const Json document = read_json_file(path);
    const JsonReader attention = JsonReader(document, path.string()).at("attention").at("implementations");
    if (attention.has(name.text())) {
      return name.text();
    }
    for (const auto& [implementation, families] : attention.members()) {
      if (std::find(known.begin(), known.end(), implementation) == known.end()) {
        known.push_back(implementation);
      }
    }
  }
  name.fail("an attention kernel that no calibration has measured", join_names(known),
            nearest_name(name.text(), known).value_or(""));
}

namespace {

KernelCalibration calibration_named(std::string_view name) {
  const auto path = catalogue_path(kCalibrationFolder, "calibration profile", name, "kernels/gpus", "/calibration");
  const Json document = read_json_file(path);
  return parse_calibration(JsonReader(document, path.string()));
}

// The profile that the GPU's entry names, or one of its architecture.
std::optional<KernelCalibration> measured_calibration(const GpuSpec& gpu) {
  const std::vector<std::string> names = catalogue_names(kCalibrationFolder);
  if (std::binary_search(names.begin(), names.end(), gpu.calibration)) {
    return calibration_named(gpu.calibration);
  }
  for (const std::string& name : names) {
    if (KernelCalibration calibration = calibration_named(name); calibration.architecture == gpu.architecture) {
      return calibration;
    }
  }
  return std::nullopt;
}

double flops_per_cycle(const GpuSpec& gpu) {
  return gpu.peak_for(Precision::kBf16).value / gpu.multiprocessors / gpu.boost_clock.value;
}

}  // namespace

bool is_measured(const GpuSpec& gpu) {
  const std::vector<std::string> names = catalogue_names(kCalibrationFolder);
  return std::binary_search(names.begin(), names.end(), gpu.calibration) || measured_calibration(gpu).has_value();
}

KernelCalibration calibration_for(const GpuSpec& gpu) {
  if (auto measured = measured_calibration(gpu)) {
    return *std::move(measured);
  }
  KernelCalibration borrowed = calibration_named(kMostMeasured);
  const double larger = flops_per_cycle(gpu) / flops_per_cycle(load_gpu(kMostMeasured));
  for (auto& [family, parameters] : borrowed.gemm) {
    parameters.operand_load /= larger;
  }
  return borrowed;
}

}  // namespace trainyard
