#pragma once
// Reading whole files and writing them whole: an interrupted run leaves the old file or none.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

// Throws UserError when the file is missing, unreadable, a folder, or larger than 1 GiB.
std::string read_file(const std::filesystem::path& path);

// Writes to a temporary name in the same folder, then renames. Throws UserError when the folder is not writable.
void write_file(const std::filesystem::path& path, std::string_view content);

// Throws UserError when write_file to this path would fail now; called before a long computation.
void check_writable(const std::filesystem::path& path);

// The folder that holds the catalogues (models/catalogue, kernels/gpus, ...): TRAINYARD_HOME, else the source folder.
std::filesystem::path home_folder();

// Names (without .json) of the catalogue entries in a folder below home_folder(), sorted.
std::vector<std::string> catalogue_names(std::string_view folder);

// The path of the catalogue entry `name`; throws UserError with the nearest name when there is none. `what` is the
// word for the message: "model", "cluster", ...; `pointer` says where the name was given.
std::filesystem::path catalogue_path(std::string_view folder, std::string_view what, std::string_view name,
                                     std::string_view file, std::string_view pointer);

}  // namespace trainyard
