#include "topologies/importers/matrix_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "sim/base/error.hpp"
#include "sim/base/text_start.hpp"
#include "topologies/importers/imported_node.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 6> kLinkWords = {"X", "PIX", "PXB", "PHB", "NODE", "SYS"};
constexpr std::size_t kMostDevices = 512;

[[noreturn]] void fail_line(const std::string& file, std::size_t line, std::string found, std::string allowed,
                            std::string problem = "this line of the topology matrix was not understood") {
  throw UserError({.file = file,
                   .pointer = fmt::format("line {}", line),
                   .found = std::move(found),
                   .allowed = std::move(allowed),
                   .problem = std::move(problem),
                   .remedy = "paste the output of `nvidia-smi topo -m` as it is"});
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The length of a terminal's escape sequence at `at`: ESC [ digits letter, or the same after ESC was lost in a paste.
std::size_t escape_length(std::string_view text, std::size_t at) {
  std::size_t end = at;
  end += text[end] == '\x1b' ? 1U : 0U;
  if (end >= text.size() || text[end] != '[') {
    return end - at;
  }
  ++end;
  while (end < text.size() && (is_digit(text[end]) || text[end] == ';')) {
    ++end;
  }
  const bool ends = end < text.size() && (text[end] == 'm' || text[end] == 'K');
  return ends ? end + 1 - at : text[at] == '\x1b' ? end - at : 0;
}

std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = escape_length(text, i);
    if (length == 0) {
      out.push_back(text[i]);
    }
    i += std::max<std::size_t>(1, length);
  }
  return out;
}

bool is_cell(std::string_view word) {
  return std::find(kLinkWords.begin(), kLinkWords.end(), word) != kLinkWords.end() || nvlinks_in(word) > 0;
}

// "0", "0-47,96-143": numbers and ranges that do not run backwards.
bool is_number_list(std::string_view text) {
  constexpr int kMostNumber = 65535;  // more than any machine has of processors or NUMA nodes
  const auto number = [](std::string_view part) {
    int value = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc() && end == part.data() + part.size() && value <= kMostNumber ? value : -1;
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view range = text.substr(begin, end - begin);
    const std::size_t dash = range.find('-');
    const int first = number(range.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : number(range.substr(dash + 1));
    if (first < 0 || last < first) {
      return false;
    }
    begin = end + 1;
  }
  return true;
}

struct Word {
  std::string text;
  std::size_t line = 0;
};

std::vector<Word> words_of(const std::string& text) {
  std::vector<Word> words;
  std::size_t line = 1;
  bool inside = false;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      line += c == '\n' ? 1U : 0U;
      inside = false;
      continue;
    }
    if (!inside) {
      words.push_back({"", line});
      inside = true;
    }
    words.back().text.push_back(c);
  }
  for (Word& word : words) {
    std::string upper = word.text;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (upper == "SOC") {
      word.text = "SYS";  // as drivers before 390 called it
    } else if (is_cell(upper)) {
      word.text = upper;
    }
  }
  return words;
}

bool is_gpu(std::string_view name) {
  return name.starts_with("GPU") && name.size() > 3 && std::all_of(name.begin() + 3, name.end(), is_digit);
}

// Affinity columns are called by several words: "CPU Affinity", "NUMA Affinity", "GPU NUMA ID".
bool begins_affinity(std::string_view word) {
  return word == "CPU" || word == "NUMA" || word == "GPU";
}

class MatrixReader {
 public:
  MatrixReader(std::string_view text, const std::string& file)
      : file_(file), words_(words_of(without_escapes(without_mark(text)))) {}

  TopologyMatrix run() {
    read_header();
    for (std::size_t row = 0; row < matrix_.names.size(); ++row) {
      read_row(row);
    }
    if (!shifted_.empty()) {
      matrix_.notes.push_back(
          fmt::format("rows {} have more cells than there are columns: aligned by their X", listed(shifted_)));
    }
    check_symmetry();
    read_legend();
    return std::move(matrix_);
  }

 private:
  std::size_t line() const { return at_ < words_.size() ? words_[at_].line : words_.empty() ? 1 : words_.back().line; }
  std::string word() const { return at_ < words_.size() ? words_[at_].text : "the end of the text"; }

  // The header is the first GPU's name that the row of that GPU does not follow at once.
  void read_header() {
    while (at_ < words_.size() &&
           !(is_gpu(words_[at_].text) && at_ + 1 < words_.size() && !is_cell(words_[at_ + 1].text))) {
      ++at_;
    }
    if (at_ == words_.size()) {
      fail_line(file_, line(), "no header", "a line of names from GPU0 on, then one row a device");
    }
    header_line_ = line();
    const std::string first = word();
    for (; at_ < words_.size() && !begins_affinity(word()) &&
           !(word() == first && !matrix_.names.empty() && starts_row());
         ++at_) {
      if (std::find(matrix_.names.begin(), matrix_.names.end(), word()) != matrix_.names.end()) {
        fail_line(file_, line(), word(), "every name once", "two columns of the topology matrix have the same name");
      }
      if (is_gpu(word()) && matrix_.gpus < matrix_.names.size()) {
        fail_line(file_, line(), word(), "GPUs before NICs", "a GPU stands behind a NIC in the topology matrix");
      }
      matrix_.gpus += is_gpu(word()) ? 1U : 0U;
      matrix_.names.push_back(word());
      if (matrix_.names.size() > kMostDevices) {
        fail_line(file_, line(), fmt::format("more than {} columns", kMostDevices), "one node");
      }
    }
    for (; at_ < words_.size() && !(word() == first && starts_row()); ++at_) {
      numa_column_ =
          numa_column_ || (word() == "NUMA" && at_ + 1 < words_.size() && words_[at_ + 1].text == "Affinity");
      cpu_column_ = cpu_column_ || word() == "CPU";
      gpu_column_ = gpu_column_ || word() == "GPU";
      if (words_[at_].line > header_line_ + 4) {
        fail_line(file_, words_[at_].line, word(), fmt::format("the row of {}", first));
      }
    }
  }

  bool starts_row() const { return at_ + 1 < words_.size() && is_cell(words_[at_ + 1].text); }

  void read_row(std::size_t row) {
    const std::size_t columns = matrix_.names.size();
    const std::string& name = matrix_.names[row];
    const std::size_t row_line = line();
    if (word() != name) {
      fail_line(file_, row_line, word(), fmt::format("a row of {} with {} cells", name, columns));
    }
    ++at_;
    std::vector<Word> cells;
    std::vector<Word> rest;
    const std::string next = row + 1 < columns ? matrix_.names[row + 1] : "Legend:";
    const bool last = row + 1 == columns;
    for (; at_ < words_.size() && word() != next; ++at_) {
      const bool same_line = !cells.empty() && words_[at_].line == cells.back().line;
      if (cells.size() < columns || (rest.empty() && is_cell(word()) && same_line)) {
        if (!is_cell(word())) {
          // The end of a row that is too short, or a cell that is none.
          const bool short_row = is_named(word()) || begins_affinity(word()) || is_digit(word().front());
          fail_line(file_, line(), short_row ? fmt::format("{} cells", cells.size()) : word(),
                    short_row ? fmt::format("a row of {} with {} cells", name, columns)
                              : "X, NV#, PIX, PXB, PHB, NODE or SYS");
        }
        cells.push_back(words_[at_]);
      } else if (!same_line && (last || (!is_cell(word()) && starts_row()))) {
        break;  // the legend, whatever follows a matrix without one, or the row of another device
      } else {
        rest.push_back(words_[at_]);
      }
    }
    if (cells.size() < columns) {
      fail_line(file_, row_line, fmt::format("{} cells", cells.size()),
                fmt::format("a row of {} with {} cells", name, columns));
    }
    keep_cells(row, std::move(cells), row_line);
    keep_affinity(row, rest);
  }

  bool is_named(const std::string& word) const {
    return std::find(matrix_.names.begin(), matrix_.names.end(), word) != matrix_.names.end();
  }

  // The only X of a row stands in its own column; columns that nvidia-smi leaves empty shift what follows.
  void keep_cells(std::size_t row, std::vector<Word> cells, std::size_t row_line) {
    const std::size_t columns = matrix_.names.size();
    const auto own = std::find_if(cells.begin(), cells.end(), [](const Word& cell) { return cell.text == "X"; });
    const auto position = static_cast<std::size_t>(own - cells.begin());
    const std::size_t extra = cells.size() - columns;
    if (own == cells.end() || position < row || position - row > extra) {
      fail_line(file_, row_line, own == cells.end() ? "no X" : fmt::format("X in column {}", position + 1),
                fmt::format("X in column {}", row + 1), "a device's own cell is not where it belongs");
    }
    if (extra > 0) {
      shifted_.push_back(matrix_.names[row]);
    }
    const std::size_t shift = position - row;
    std::vector<std::string>& kept = matrix_.cells.emplace_back();
    for (std::size_t c = shift; c < shift + columns; ++c) {
      if ((cells[c].text == "X") != (c == position)) {
        fail_line(file_, cells[c].line, "a second X", "one X a row", "a device's own cell is not where it belongs");
      }
      kept.push_back(cells[c].text);
    }
    lines_.push_back(row_line);
  }

  void keep_affinity(std::size_t row, const std::vector<Word>& rest) {
    if (row >= matrix_.gpus) {
      return;
    }
    std::size_t next = 0;
    const auto take = [&](bool printed, const char* column) {
      if (!printed || next >= rest.size() || rest[next].text == "N/A") {
        next += printed ? 1U : 0U;
        return std::string();
      }
      const Word& value = rest[next++];
      if (!is_number_list(value.text)) {
        fail_line(file_, value.line, value.text,
                  "numbers up to 65535 and ranges of them from the lower to the higher, as 0-47,96-143, or N/A",
                  fmt::format("the {} of {} is no list of numbers", column, matrix_.names[row]));
      }
      return value.text;
    };
    matrix_.cpus.push_back(take(cpu_column_, "CPU affinity"));
    matrix_.numa.push_back(take(numa_column_, "NUMA affinity"));
    take(gpu_column_, "NUMA node");
  }

  void check_symmetry() const {
    for (std::size_t a = 0; a < matrix_.cells.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        if (matrix_.cells[a][b] != matrix_.cells[b][a]) {
          fail_line(file_, lines_[a],
                    fmt::format("{} from {} to {}, {} back", matrix_.cells[a][b], matrix_.names[a], matrix_.names[b],
                                matrix_.cells[b][a]),
                    "the same both ways", "the topology matrix is not symmetric");
        }
      }
    }
  }

  // "NIC0: mlx5_0"
  void read_legend() {
    matrix_.labels = matrix_.names;
    for (; at_ < words_.size(); ++at_) {
      const std::string& text = words_[at_].text;
      if (is_gpu(text) && starts_header()) {
        fail_line(file_, words_[at_].line, text, "one matrix", "the file holds a second topology matrix");
      }
      for (std::size_t d = matrix_.gpus; d < matrix_.names.size(); ++d) {
        if (text == matrix_.names[d] + ":" && at_ + 1 < words_.size()) {
          matrix_.labels[d] = words_[at_ + 1].text;
        }
      }
    }
  }

  bool starts_header() const { return at_ + 1 < words_.size() && (is_gpu(words_[at_ + 1].text) || starts_row()); }

  const std::string& file_;
  std::vector<Word> words_;
  std::size_t at_ = 0;
  std::size_t header_line_ = 0;
  bool numa_column_ = false;
  bool cpu_column_ = false;
  bool gpu_column_ = false;         // the NUMA node of its memory
  std::vector<std::size_t> lines_;  // of every row
  std::vector<std::string> shifted_;
  TopologyMatrix matrix_;
};

}  // namespace

int nvlinks_in(std::string_view cell) {
  int count = 0;
  if (!cell.starts_with("NV")) {
    return 0;
  }
  const auto [end, error] = std::from_chars(cell.data() + 2, cell.data() + cell.size(), count);
  return error == std::errc() && end == cell.data() + cell.size() ? std::max(0, count) : 0;
}

TopologyMatrix read_topology_matrix(std::string_view text, const std::string& file) {
  return MatrixReader(text, file).run();
}

}  // namespace trainyard
