#pragma once
// Reading and writing whole files, and the catalogues' folders. Every file that trainyard reads, it reads here.
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"

namespace trainyard {

// Most that a file may hold, in bytes; documents that are parsed into many small objects have a limit of their own.
inline constexpr std::uintmax_t kLargestFile = std::uintmax_t{1} << 30U;

// The whole of a regular file, or of a pipe up to its end. Throws UserError when it is missing, unreadable, a folder or
// a device, larger than `largest`, when a read fails on the way, or when nobody writes to a pipe for some seconds.
std::string read_file(const std::filesystem::path& path, std::uintmax_t largest = kLargestFile);

// What tells files apart whatever their names: device and inode.
using FileIdentity = std::pair<dev_t, ino_t>;
// The regular files that this process has read so far: an output must not replace one of them.
const std::vector<FileIdentity>& files_read();

// Whose fault a failed system call on a file is: the machine's (no space, too many open files, a broken disk: exit code
// 1) or that of who named the file (2).
ExitCode fault_of(int error);

// Writes a file as OutputFile (output_file.hpp) does. Throws UserError when it cannot.
void write_file(const std::filesystem::path& path, std::string_view content);

// Throws UserError when write_file to this path would fail now; called before a long computation.
void check_writable(const std::filesystem::path& path);

// The folder that holds the catalogues (models/catalogue, kernels/gpus, ...): TRAINYARD_HOME, else that of an installed
// program, else the source folder.
std::filesystem::path home_folder();

// Names (without .json) of the catalogue entries in a folder below home_folder(), sorted. Throws UserError when there
// is no such folder: TRAINYARD_HOME is wrong.
std::vector<std::string> catalogue_names(std::string_view folder);

// The one of the names that is meant: case and _ for - do not matter, and words of one name alone will do ("booster"
// for "juwels-booster"). Nothing where there is none or more than one.
std::optional<std::string> name_meant(const std::vector<std::string>& names, std::string_view typed);

// Whether a name is the path of a user's file instead of an entry of a catalogue: it has a slash, or ends in .json.
bool names_file(std::string_view name);

// The path of the catalogue entry `name`, whose stem is the entry's own name; found as by name_meant. Throws UserError
// with the nearest names when there is none or more than one. `what` is the word for the message: "model", "cluster",
// ...; `pointer` says where the name was given.
std::filesystem::path catalogue_path(std::string_view folder, std::string_view what, std::string_view name,
                                     std::string_view file, std::string_view pointer);

}  // namespace trainyard
