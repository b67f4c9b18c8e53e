#pragma once
// Writing a long text piece by piece, compressed when its name ends in .gz: whole or not at all.
#include <zlib.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "sim/base/output_file.hpp"

namespace trainyard {

// An OutputFile with zlib before it. The gzip header holds no time and no name, so equal texts are equal bytes. Throws
// UserError when the file cannot be written.
class TraceFile {
 public:
  explicit TraceFile(const std::filesystem::path& path);

  void write(std::string_view text);
  void finish();

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  OutputFile output_;
  std::unique_ptr<gzFile_s, Close> file_;
};

}  // namespace trainyard
