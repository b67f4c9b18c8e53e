#include "kernels/gpu.hpp"

#include <fmt/format.h>

#include <span>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kFolder = "kernels/gpus";

std::map<Precision, FlopsPerSecond> read_peaks(const JsonReader& reader) {
  std::map<Precision, FlopsPerSecond> peaks;
  for (const auto& [name, rate] : reader.members()) {
    const auto precision = kPrecisionNames.find(name);
    if (!precision) {
      const std::vector<std::string> names = kPrecisionNames.names();
      throw UserError({.file = rate.file(),
                       .pointer = rate.pointer(),
                       .allowed = join_names(names),
                       .nearest = nearest_name(name, names).value_or(""),
                       .problem = "unknown precision"});
    }
    peaks[*precision] = rate.flops_per_second();
  }
  return peaks;
}

// Overwrites the members of `gpu` that the file states. A file that says `same_as` states only what differs.
void read_members(const JsonReader& file, GpuSpec& gpu) {
  constexpr std::int64_t kManyUnits = 4096;
  const auto read = [&file](std::string_view key, auto&& assign) {
    if (const auto found = file.find(key)) {
      assign(*found);
    } else if (!file.has("same_as")) {
      file.at(key);  // throws: missing key
    }
  };
  read("vendor", [&](const JsonReader& v) { gpu.vendor = v.text(); });
  read("architecture", [&](const JsonReader& v) { gpu.architecture = v.text(); });
  read("multiprocessors",
       [&](const JsonReader& v) { gpu.multiprocessors = static_cast<int>(v.integer(1, kManyUnits)); });
  read("boost_clock", [&](const JsonReader& v) { gpu.boost_clock = v.hertz(); });
  read("peak", [&](const JsonReader& v) { gpu.peak = read_peaks(v); });
  read("memory", [&](const JsonReader& v) { gpu.memory = v.bytes(); });
  read("memory_bandwidth", [&](const JsonReader& v) { gpu.memory_bandwidth = v.bytes_per_second(); });
  read("l2_cache", [&](const JsonReader& v) { gpu.l2_cache = v.bytes(); });
  read("pcie_bandwidth", [&](const JsonReader& v) { gpu.pcie_bandwidth = v.bytes_per_second(); });
  read("power_watts", [&](const JsonReader& v) { gpu.power_watts = v.number(1.0, 1e5); });

  if (const auto v = file.find("compute_capability")) {
    gpu.compute_capability = static_cast<int>(v->integer(10, 999));
  }
  if (const auto v = file.find("scale_up_bandwidth")) {
    gpu.scale_up_bandwidth = v->bytes_per_second();
    gpu.scale_up_links = static_cast<int>(file.at("scale_up_links").integer(1, kManyUnits));
  }
  if (const auto v = file.find("sustained_clock_ratio")) {
    gpu.sustained_clock_ratio = v->number(0.1, 1.0);
  }
  if (const auto v = file.find("calibration")) {
    gpu.calibration = catalogue_path("kernels/calibration", "calibration profile", v->text(), v->file(), v->pointer())
                          .stem()
                          .string();
  }
}

enum class Chain { kMayContinue, kEnds };  // whether the entry may itself say `same_as`

GpuSpec read_gpu(std::string_view name, std::string_view given_in, std::string_view pointer, Chain chain) {
  const auto path = catalogue_path(kFolder, "GPU", name, given_in, pointer);
  const Json document = read_json_file(path);
  const JsonReader file(document, path.string());
  file.expect_keys({"same_as", "vendor", "architecture", "compute_capability", "multiprocessors", "boost_clock", "peak",
                    "memory", "memory_bandwidth", "l2_cache", "scale_up_bandwidth", "scale_up_links", "pcie_bandwidth",
                    "power_watts", "sustained_clock_ratio", "calibration", "device_names", "note", "sources"});
  GpuSpec gpu;
  if (const auto base = file.find("same_as")) {
    if (chain == Chain::kEnds) {
      base->fail("a GPU that others are the same as must state its own figures");
    }
    gpu = read_gpu(base->text(), file.file(), base->pointer(), Chain::kEnds);
  } else {
    gpu.calibration = path.stem().string();
  }
  gpu.name = path.stem().string();
  read_members(file, gpu);
  if (gpu.peak.find(Precision::kFp32) == gpu.peak.end()) {
    file.at("peak").fail("every GPU needs its fp32 rate, the widest precision others fall back to");
  }
  return gpu;
}

}  // namespace

FlopsPerSecond GpuSpec::peak_for(Precision precision) const {
  const auto at = [this](Precision candidate) { return peak.find(candidate); };
  // Each list ends in fp32, which every catalogue entry has.
  const std::vector<Precision> candidates = [precision]() -> std::vector<Precision> {
    switch (precision) {
      case Precision::kFp4:
      case Precision::kNvFp4:
        return {Precision::kFp4, Precision::kFp8, Precision::kBf16, Precision::kFp16, Precision::kFp32};
      case Precision::kFp8:
      case Precision::kFp8Block:
      case Precision::kMxFp8:
        return {Precision::kFp8, Precision::kBf16, Precision::kFp16, Precision::kFp32};
      case Precision::kFp16:
        return {Precision::kFp16, Precision::kTf32, Precision::kFp32};
      case Precision::kBf16:
        return {Precision::kBf16, Precision::kTf32, Precision::kFp32};
      case Precision::kTf32:
        return {Precision::kTf32, Precision::kFp32};
      case Precision::kFp32:
        return {Precision::kFp32};
    }
    return {Precision::kFp32};
  }();
  for (const Precision candidate : candidates) {
    if (const auto found = at(candidate); found != peak.end()) {
      return found->second;
    }
  }
  TY_ASSERT(!peak.empty());
  return peak.begin()->second;
}

bool GpuSpec::has_format(Precision precision) const {
  switch (precision) {
    case Precision::kFp8Block:
      return peak.contains(Precision::kFp8);
    case Precision::kMxFp8:
    case Precision::kNvFp4:
      return peak.contains(Precision::kFp4);
    case Precision::kFp32:
    case Precision::kTf32:
    case Precision::kFp16:
    case Precision::kBf16:
    case Precision::kFp8:
    case Precision::kFp4:
      break;
  }
  return peak.contains(precision);
}

std::vector<std::string> GpuSpec::formats() const {
  std::vector<std::string> names;
  for (const auto& [format, precision] : kPrecisionNames.rows) {
    if (has_format(precision)) {
      names.emplace_back(format);
    }
  }
  return names;
}

GpuSpec load_gpu(std::string_view name, std::string_view file, std::string_view pointer) {
  return read_gpu(name, file, pointer, Chain::kMayContinue);
}

std::vector<std::string> gpu_names() {
  return catalogue_names(kFolder);
}

}  // namespace trainyard
