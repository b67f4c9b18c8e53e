#pragma once
// Writing a long text piece by piece, compressed when its name ends in .gz: whole or not at all.
#include <zlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace trainyard {

// Writes to a temporary name in the same folder; finish() gives it its name, destruction without it removes it. The
// gzip header holds no time and no name, so equal texts are equal bytes. Throws UserError when the file cannot be
// written.
class TraceFile {
 public:
  explicit TraceFile(std::filesystem::path path);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  void write(std::string_view text);
  void finish();

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  [[noreturn]] void fail(int error) const;

  std::filesystem::path path_;
  std::string temporary_;
  std::unique_ptr<gzFile_s, Close> file_;
};

}  // namespace trainyard
