#include "sim/report/timeline_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "sim/base/xml_text.hpp"
#include "sim/engine/column_times.hpp"

namespace trainyard {
namespace {

constexpr double kWidth = 1200.0;
constexpr double kLeft = 84.0;
constexpr double kRight = 16.0;
constexpr double kTop = 64.0;
constexpr double kBottom = 46.0;
constexpr double kLane = kWidth - kLeft - kRight;
// A block narrower than this has no room for a micro-batch's number.
constexpr double kLabelWidth = 9.0;
// One narrower than this has none for an edge: a row's slivers of one look are drawn together.
constexpr double kSliver = 3.0;

// What a drawn stretch of time is.
enum class Kind { kForward, kBackward, kOptimizer, kTensor, kPipeline, kData, kContext, kExpert, kInput };
constexpr std::size_t kKinds = 9;
struct KindStyle {
  std::string_view words;
  std::string_view colour;
};
constexpr std::array<KindStyle, kKinds> kStyles{{{"forward", "#2f6db5"},
                                                 {"backward (with recomputation)", "#2b8a5e"},
                                                 {"optimizer", "#e09a2b"},
                                                 {"tensor-parallel", "#8e5bc4"},
                                                 {"pipeline", "#d4455a"},
                                                 {"data-parallel", "#8a6238"},
                                                 {"context-parallel", "#3fa7b8"},
                                                 {"expert-parallel", "#c23b8e"},
                                                 {"samples", "#7d8a2e"}}};
constexpr std::string_view kWaiting = "#e9e9e6";

struct Block {
  Kind kind;
  std::int32_t micro_batch;
  std::int32_t chunk;
  double begin;
  double end;
  double busy;  // of communication: how long it moved between begin and end
};

struct Row {
  std::string name;
  std::vector<Block> passes;
  std::vector<Block> communication;
};

Kind kind_of(const Operation& operation) {
  switch (operation.category) {
    case Category::kTensor:
      return Kind::kTensor;
    case Category::kPipeline:
      return Kind::kPipeline;
    case Category::kData:
    case Category::kOffload:
      return Kind::kData;
    case Category::kContext:
      return Kind::kContext;
    case Category::kExpert:
      return Kind::kExpert;
    case Category::kInput:
      return Kind::kInput;
    case Category::kOptimizer:
    case Category::kHost:
      return Kind::kOptimizer;
    case Category::kCompute:
      break;
  }
  return operation.pass == PassKind::kForward || !operation.pass ? Kind::kForward : Kind::kBackward;
}

// Appends to the last block when it is the same pass (or the same kind of communication, less than `gap` later).
void append(std::vector<Block>& blocks, const Block& block, double gap) {
  if (!blocks.empty()) {
    Block& last = blocks.back();
    if (last.kind == block.kind && last.micro_batch == block.micro_batch && last.chunk == block.chunk &&
        block.begin - last.end <= gap) {
      last.end = std::max(last.end, block.end);
      last.busy += block.busy;
      return;
    }
  }
  blocks.push_back(block);
}

Row row_of(const Program& program, const RankTimeline& rank, double gap) {
  const RankProgram& own = program.classes[rank.program_class.index()];
  Row row{.name = program.class_names[rank.program_class.index()], .passes = {}, .communication = {}};
  std::vector<Block> moving;
  const std::vector<double> start = start_times(own, rank);
  auto began = rank.moving.begin();
  for (std::size_t i = 0; i < own.operations.size(); ++i) {
    const Operation& operation = own.operations[i];
    const Kind kind = kind_of(operation);
    if (operation.kind == OperationKind::kKernels && kind == Kind::kInput) {
      moving.push_back({kind, -1, -1, start[i], rank.end[i], rank.end[i] - start[i]});
    } else if (operation.kind == OperationKind::kKernels) {
      // The micro-batch and the chunk tell passes apart, so a pass is one block however long its collectives take; of
      // the optimizer, which has neither, only what follows at once belongs together.
      append(row.passes, {kind, operation.micro_batch, operation.chunk, start[i], rank.end[i], 0.0},
             operation.micro_batch < 0 ? gap : rank.end[i]);
    } else if (operation.kind == OperationKind::kCommunication) {
      moving.push_back({kind, -1, -1, *began, rank.end[i], rank.end[i] - *began});
      ++began;
    }
  }
  // Streams are independent: in the order of issue their communications may go back in time.
  std::stable_sort(moving.begin(), moving.end(), [](const Block& a, const Block& b) { return a.begin < b.begin; });
  for (const Block& block : moving) {
    append(row.communication, block, gap);
  }
  return row;
}

std::vector<Row> rows_of(const Program& program, const Timeline& timeline) {
  std::vector<const RankTimeline*> lowest(program.classes.size(), nullptr);
  for (const RankTimeline& rank : timeline.ranks) {
    const RankTimeline*& chosen = lowest[rank.program_class.index()];
    if (chosen == nullptr || rank.rank < chosen->rank) {
      chosen = &rank;
    }
  }
  // What lies closer than this many pixels is drawn as one; coarser where many rows share the file.
  const double pixels = std::max(1.0, static_cast<double>(lowest.size()) / 8.0);
  std::vector<Row> rows;
  for (const RankTimeline* rank : lowest) {
    if (rank != nullptr) {
      rows.push_back(row_of(program, *rank, timeline.step.value * pixels / kLane));
    }
  }
  return rows;
}

class Drawing {
 public:
  // The legend names making samples only where somebody does.
  Drawing(std::string_view title, double step, std::size_t rows, bool has_input)
      : step_(step > 0.0 ? step : 1.0), tall_(rows > 16 ? 9.0 : 26.0), thin_(rows > 16 ? 3.0 : 7.0) {
    const double height = kTop + static_cast<double>(rows) * pitch() + kBottom;
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n",
        kWidth, height);
    add("<rect width=\"{}\" height=\"{}\" fill=\"#ffffff\"/>\n", kWidth, height);
    add("<text x=\"{}\" y=\"24\" font-size=\"15\" font-weight=\"bold\" fill=\"#222\">{}</text>\n", kLeft,
        xml_text(title));
    legend(has_input);
  }

  void row(std::size_t index, const Row& row) {
    const double y = kTop + static_cast<double>(index) * pitch();
    add("<g class=\"row\">\n<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\">{}</text>\n", kLeft - 8.0,
        y + tall_ / 2.0 + 4.0, xml_text(row.name));
    add("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n", kLeft, y, kLane, tall_ + thin_, kWaiting);
    std::map<std::pair<Kind, std::int32_t>, std::string> slivers;
    for (const Block& block : row.passes) {
      if (width_of(block) < kSliver) {
        slivers[{block.kind, block.chunk}] += outline(block, y, tall_);
      } else {
        pass(block, y);
      }
    }
    for (const auto& [look, outlines] : slivers) {
      add("<path fill=\"{}\" opacity=\"{:.2g}\" d=\"{}\"/>\n", colour_of(look.first), opacity_of(look.second),
          outlines);
    }
    add("<g text-anchor=\"middle\" fill=\"#fff\">\n");
    for (const Block& block : row.passes) {
      label(block, y);
    }
    add("</g>\n");
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      communication(static_cast<Kind>(kind), row.communication, y + tall_);
    }
    add("</g>\n");
  }

  std::string finish(std::size_t rows) {
    const double y = kTop + static_cast<double>(rows) * pitch() + 2.0;
    const double tick = tick_length();
    const bool in_seconds = step_ >= 1.0;
    for (int i = 0; static_cast<double>(i) * tick <= step_; ++i) {
      const double time = static_cast<double>(i) * tick;
      const double x = kLeft + time / step_ * kLane;
      add("<path d=\"M{0:.1f} {1}v5\" stroke=\"#222\"/><text x=\"{0:.1f}\" y=\"{2}\" text-anchor=\"middle\" "
          "fill=\"#222\">{3:.4g}</text>\n",
          x, y, y + 18.0, in_seconds ? time : time * 1e3);
    }
    add("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\">{} since the step began; it takes {:.4g}</text>\n",
        kWidth - kRight, y + 36.0, in_seconds ? "seconds" : "milliseconds", in_seconds ? step_ : step_ * 1e3);
    add("</svg>\n");
    return std::move(text_);
  }

 private:
  template <class... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }
  double pitch() const { return tall_ + thin_ + (tall_ > 10.0 ? 6.0 : 2.0); }
  double x_of(double time) const { return kLeft + std::clamp(time / step_, 0.0, 1.0) * kLane; }

  void legend(bool has_input) {
    const double gap = has_input ? 36.0 : 42.0;
    const double letter = 6.2;
    // One entry more has to fit: words in parentheses make room.
    const auto short_of = [has_input](std::string_view words) {
      return words.substr(0, has_input ? words.find(" (") : words.npos);
    };
    double x = kLeft;
    const auto entry = [&](std::string_view colour, std::string_view words) {
      add("<rect x=\"{}\" y=\"38\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"48\" "
          "fill=\"#222\">{}</text>\n",
          x, colour, x + 17.0, words);
      x += gap + letter * static_cast<double>(words.size());
    };
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      if (has_input || static_cast<Kind>(kind) != Kind::kInput) {
        entry(kStyles[kind].colour, short_of(kStyles[kind].words));
      }
    }
    entry(kWaiting, "waiting");
  }

  double width_of(const Block& block) const { return x_of(block.end) - x_of(block.begin); }
  static std::string_view colour_of(Kind kind) { return kStyles[static_cast<std::size_t>(kind)].colour; }
  static double opacity_of(std::int32_t chunk) { return std::max(0.45, 1.0 - 0.3 * std::max(0, chunk)); }
  std::string outline(const Block& block, double y, double height) const {
    return fmt::format("M{0:.1f} {1:.0f}h{2:.2f}v{3:.0f}H{0:.1f}z", x_of(block.begin), y, width_of(block), height);
  }

  // A white edge tells neighbours apart.
  void pass(const Block& block, double y) {
    add("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"", x_of(block.begin), y,
        width_of(block) - 0.6, tall_, colour_of(block.kind));
    if (block.chunk > 0) {
      add(" opacity=\"{:.2g}\"", opacity_of(block.chunk));
    }
    add("/>\n");
  }

  void label(const Block& block, double y) {
    const double width = width_of(block);
    if (block.micro_batch >= 0 && width >= kLabelWidth && tall_ > 10.0) {
      add("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\">{}</text>\n", x_of(block.begin) + width / 2.0,
          y + tall_ / 2.0 + 4.0, width >= 18.0 ? 12 : 8, block.micro_batch);
    }
  }

  // Where calls lie too close to be told apart, the colour is as strong as their share of the time.
  void communication(Kind kind, const std::vector<Block>& blocks, double y) {
    std::map<int, std::string> by_tenth;
    for (const Block& block : blocks) {
      if (block.kind == kind && block.end > block.begin) {
        const double share = std::clamp(block.busy / (block.end - block.begin), 0.1, 1.0);
        by_tenth[static_cast<int>(std::lround(10.0 * share))] += outline(block, y, thin_);
      }
    }
    for (const auto& [tenth, outlines] : by_tenth) {
      add("<path fill=\"{}\" opacity=\"{:.1f}\" d=\"{}\"/>\n", colour_of(kind), 0.1 * tenth, outlines);
    }
  }

  // 1, 2 or 5 times a power of ten, so that six to fifteen ticks fit.
  double tick_length() const {
    const double power = std::pow(10.0, std::floor(std::log10(step_ / 6.0)));
    for (const double factor : {5.0, 2.0}) {
      if (step_ / (factor * power) >= 6.0) {
        return factor * power;
      }
    }
    return power;
  }

  double step_;
  double tall_;
  double thin_;
  std::string text_;
};

}  // namespace

std::string timeline_svg(std::string_view title, const Program& program, const Timeline& timeline) {
  const std::vector<Row> rows = rows_of(program, timeline);
  const bool has_input = std::any_of(rows.begin(), rows.end(), [](const Row& row) {
    return std::any_of(row.communication.begin(), row.communication.end(),
                       [](const Block& block) { return block.kind == Kind::kInput; });
  });
  Drawing drawing(title, timeline.step.value, rows.size(), has_input);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    drawing.row(i, rows[i]);
  }
  return drawing.finish(rows.size());
}

}  // namespace trainyard
