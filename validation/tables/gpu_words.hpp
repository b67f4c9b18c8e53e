#pragma once
// GPUs as tables and logs call them: a catalogue name ("h100-sxm"), a family ("a100") or what the driver reports
// ("NVIDIA A100-SXM4-80GB", "AMD Instinct MI300X").
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

// Whether the words can mean a GPU of the catalogue: they name its model (the first word of its catalogue name, or one
// of the "device_names" of its file) and no other form (PCIe card or SXM module). Sizes of memory are not compared: the
// modules of one model share their links. Words without a number ("Graphics Device") may mean every GPU. Throws
// UserError when the catalogue has no `gpu`.
bool may_mean_gpu(std::string_view words, const std::string& gpu);

// The cluster of a row that names none: the first of the catalogue with such a GPU; before others those whose GPU has
// exactly this name, then those named after it, then systems of the GPU's vendor.
std::optional<std::string> default_cluster(const std::string& gpu);

}  // namespace trainyard
