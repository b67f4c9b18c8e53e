#pragma once
// Lines of nccl-tests' output as launchers hand them on: who printed a line and what it printed.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct LogLine {
  std::size_t number = 0;          // in the file, from 1
  std::string stream;              // the process that printed it, as the launcher tags it; empty: it does not
  std::vector<std::string> words;  // of what was printed; headers begin with "#"
};

// A word that is a finite number and nothing else.
std::optional<double> number_in(std::string_view word);

// Bytes of an element of a number format by the name that nccl-tests prints; nothing for other words.
std::optional<int> element_bytes(std::string_view type);

// Cuts the text into lines and strips what is no output of the benchmark: colours, carriage returns, and whatever
// stands before a header's "#" or before the size of a result (time stamps, `srun -l`, `mpirun --tag-output`,
// torchrun's and kubectl's prefixes, ...). Of such a prefix only the process' name or number is kept. Empty lines are
// left out.
std::vector<LogLine> read_log_lines(const std::string& text);

}  // namespace trainyard
