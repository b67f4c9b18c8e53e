#include "sim/schedules/schedule_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/base/text_start.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kMostChunks = 1024;
constexpr std::int64_t kMostMicroBatches = 1'000'000;
constexpr const char* kCellForm = "F0, B0, W0, or F0.1 for chunk 1";

// A cell and where it stands, counted from 1.
struct Cell {
  StagePass pass;
  std::size_t line;
  std::size_t column;
};

class Parser {
 public:
  Parser(std::string_view text, const std::string& file) : text_(without_mark(text)) { table_.file = file; }

  ScheduleTable parse() {
    std::vector<std::vector<Cell>> rows;
    std::size_t line = 0;
    while (!text_.empty()) {
      ++line;
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view row = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      row = row.substr(0, row.find('#'));
      const std::vector<Word> words = words_of(row);
      if (words.empty()) {
        continue;
      }
      if (words.front().text == "placement") {
        read_placement(words, line, rows.empty());
        continue;
      }
      std::vector<Cell>& cells = rows.emplace_back();
      for (const Word& word : words) {
        if (word.text != "-") {
          cells.push_back({cell(word, line), line, word.column});
        }
      }
      lines_.push_back(line);
    }
    if (rows.empty()) {
      fail(1, 1, "nothing", "one row per stage", "the schedule table has no rows");
    }
    measure(rows);
    for (std::vector<Cell>& row : rows) {
      finish(row);
    }
    return std::move(table_);
  }

 private:
  struct Word {
    std::string_view text;
    std::size_t column;
  };

  [[noreturn]] void fail(std::size_t line, std::size_t column, std::string found, std::string allowed,
                         std::string problem) const {
    throw UserError({.file = fmt::format("{}:{}:{}", table_.file, line, column),
                     .found = std::move(found),
                     .allowed = std::move(allowed),
                     .problem = std::move(problem),
                     .remedy = "sim/schedules/README.md describes the table"});
  }

  static std::vector<Word> words_of(std::string_view row) {
    constexpr std::string_view kBlanks = " \t\r";
    std::vector<Word> words;
    std::size_t at = row.find_first_not_of(kBlanks);
    while (at != std::string_view::npos) {
      const std::size_t end = std::min(row.find_first_of(kBlanks, at), row.size());
      words.push_back({row.substr(at, end - at), at + 1});
      at = row.find_first_not_of(kBlanks, end);
    }
    return words;
  }

  void read_placement(const std::vector<Word>& words, std::size_t line, bool is_first) {
    if (!is_first) {
      fail(line, words.front().column, "placement", "rows of cells", "the placement stands in front of all rows");
    }
    const auto value = words.size() == 2 ? kPlacementNames.find(words[1].text) : std::nullopt;
    if (!value) {
      const std::vector<std::string> names = kPlacementNames.names();
      fail(line, words.back().column, std::string(words.back().text), join_names(names), "unknown placement");
    }
    table_.placement = *value;
  }

  // A number at the front of `text`, which is cut off.
  static bool number(std::string_view& text, std::int64_t largest, std::int32_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < 0 || value >= largest) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  }

  StagePass cell(const Word& word, std::size_t line) const {
    constexpr std::string_view kLetters = "FBW";
    constexpr std::array<PassKind, 3> kKinds = {PassKind::kForward, PassKind::kBackward, PassKind::kWeightGradient};
    StagePass pass;
    const std::size_t kind = kLetters.find(word.text.front());
    std::string_view rest = word.text.substr(1);
    bool good = kind != std::string_view::npos && number(rest, kMostMicroBatches, pass.micro_batch);
    if (good && !rest.empty() && rest.front() == '.') {
      rest.remove_prefix(1);
      good = number(rest, kMostChunks, pass.chunk);
    }
    if (!good || !rest.empty()) {
      fail(line, word.column, std::string(word.text), kCellForm, "not a cell of a schedule table");
    }
    pass.kind = kKinds[kind];
    return pass;
  }

  void measure(const std::vector<std::vector<Cell>>& rows) {
    for (const std::vector<Cell>& row : rows) {
      for (const Cell& cell : row) {
        table_.chunks = std::max<std::int64_t>(table_.chunks, cell.pass.chunk + 1);
        table_.micro_batches = std::max<std::int64_t>(table_.micro_batches, cell.pass.micro_batch + 1);
        if (table_.placement != Placement::kLooped && cell.pass.chunk > 1) {
          fail(cell.line, cell.column, fmt::format("chunk {}", cell.pass.chunk), "chunks 0 and 1",
               "this placement has two chunks per stage");
        }
      }
    }
    if (table_.placement != Placement::kLooped) {
      table_.chunks = 2;
    }
  }

  bool expected(std::int32_t micro_batch, std::int32_t chunk) const {
    return table_.placement != Placement::kBidirectional || (micro_batch < table_.micro_batches / 2) == (chunk == 0);
  }

  static std::string name_of(char letter, std::int32_t micro_batch, std::int32_t chunk) {
    return chunk == 0 ? fmt::format("{}{}", letter, micro_batch) : fmt::format("{}{}.{}", letter, micro_batch, chunk);
  }

  // Each pass once, after what it needs on its own stage; B of a pass with W is the inputs' gradient.
  void finish(std::vector<Cell>& row) {
    using Key = std::tuple<PassKind, std::int32_t, std::int32_t>;
    std::map<Key, const Cell*> seen;
    for (const Cell& cell : row) {
      const auto [kind, micro_batch, chunk] = std::tuple(cell.pass.kind, cell.pass.micro_batch, cell.pass.chunk);
      const char letter = kind == PassKind::kForward ? 'F' : kind == PassKind::kBackward ? 'B' : 'W';
      const std::string name = name_of(letter, micro_batch, chunk);
      if (!expected(micro_batch, chunk)) {
        fail(cell.line, cell.column, name, "the first half of the micro-batches in chunk 0, the others in chunk 1",
             "a micro-batch of a bidirectional schedule goes one way");
      }
      if (!seen.emplace(Key{kind, micro_batch, chunk}, &cell).second) {
        fail(cell.line, cell.column, name, "each pass once", "a pass stands twice in the row");
      }
      const PassKind before = kind == PassKind::kWeightGradient ? PassKind::kBackward : PassKind::kForward;
      if (kind != PassKind::kForward && !seen.contains(Key{before, micro_batch, chunk})) {
        const std::string needed = name_of(before == PassKind::kForward ? 'F' : 'B', micro_batch, chunk);
        fail(cell.line, cell.column, name, fmt::format("{} behind {}", name, needed),
             fmt::format("{} stands before {}", name, needed));
      }
    }
    const std::size_t line = row.empty() ? lines_[table_.rows.size()] : row.front().line;
    for (std::int32_t chunk = 0; chunk < table_.chunks; ++chunk) {
      for (std::int32_t m = 0; m < table_.micro_batches; ++m) {
        for (const PassKind kind : {PassKind::kForward, PassKind::kBackward}) {
          if (expected(m, chunk) && !seen.contains(Key{kind, m, chunk})) {
            fail(line, 1, "a row without it",
                 fmt::format("{} micro-batches through {} chunks", table_.micro_batches, table_.chunks),
                 fmt::format("{} is missing", name_of(kind == PassKind::kForward ? 'F' : 'B', m, chunk)));
          }
        }
      }
    }
    PassOrder& order = table_.rows.emplace_back();
    for (const Cell& cell : row) {
      order.push_back(cell.pass);
      if (cell.pass.kind == PassKind::kBackward &&
          seen.contains(Key{PassKind::kWeightGradient, cell.pass.micro_batch, cell.pass.chunk})) {
        order.back().kind = PassKind::kInputGradient;
      }
    }
  }

  std::string_view text_;
  ScheduleTable table_;
  std::vector<std::size_t> lines_;  // of the rows
};

}  // namespace

ScheduleTable parse_schedule_table(std::string_view text, const std::string& file) {
  return Parser(text, file).parse();
}

}  // namespace trainyard
