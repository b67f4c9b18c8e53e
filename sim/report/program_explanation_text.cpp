#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/base/quantity_text.hpp"
#include "sim/report/program_explanation.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kPassesShown = 16;

// "1 kernel", "2 kernels"
template <class Count>
std::string counted(Count count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string gigaflops(Flops flops) {
  return fmt::format("{:.4g} GFLOP", flops.value / 1e9);
}

// What an operator works on: its shape, and how much it computes or moves.
struct Words {
  std::string shape;
  std::string amount;
};

struct Describe {
  Words operator()(const Gemm& gemm) const {
    const std::string batch = gemm.batch > 1 ? fmt::format("{} x ", gemm.batch) : std::string();
    return {fmt::format("gemm {}{} x {} x {}", batch, gemm.m, gemm.n, gemm.k), gigaflops(gemm.flops())};
  }
  Words operator()(const GroupedGemm& gemm) const {
    return {fmt::format("{} gemms, {} tokens x {} x {}", gemm.tokens.size(), gemm.total_tokens(), gemm.n, gemm.k),
            gigaflops(gemm.flops())};
  }
  Words operator()(const Attention& attention) const {
    return {fmt::format("attention {} x {} heads, {} x {}, {} wide", attention.batch, attention.heads, attention.seq_q,
                        attention.seq_kv, attention.head_dim),
            gigaflops(attention.flops())};
  }
  Words operator()(const Convolution& work) const {
    const std::string groups = work.groups > 1 ? fmt::format(" in {} groups", work.groups) : std::string();
    return {fmt::format("convolution {} of {} x {} x {} x {} with {} x {} x {}{}, stride {}",
                        kConvolutionPassNames.name_of(work.pass), work.images, work.channels, work.height, work.width,
                        work.filters, work.filter_height, work.filter_width, groups, work.stride),
            gigaflops(work.flops())};
  }
  Words operator()(const MemoryBound& kernel) const { return {"memory", to_text(kernel.traffic)}; }
  Words operator()(const GroupCollective& collective) const {
    return {fmt::format("{} of {}{}", kCollectiveOpNames.name_of(collective.op),
                        kParallelGroupNames.name_of(collective.group),
                        collective.overlapped_operators > 0
                            ? fmt::format(", beside the next {}", collective.overlapped_operators)
                            : std::string()),
            to_text(collective.size)};
  }
  Words operator()(const HostSync& /*sync*/) const { return {"the host waits for the device", ""}; }
};

bool is_kernel(const ListedOperator& one) {
  return !std::holds_alternative<GroupCollective>(one.op.work) && !std::holds_alternative<HostSync>(one.op.work);
}

std::string listing_text(std::string_view part, std::string_view pass, const OperatorListing& listing, Detail detail) {
  if (listing.empty()) {
    return "";
  }
  Seconds total{};
  std::vector<Operator> operators;
  for (const ListedOperator& one : listing) {
    total += one.time;
    operators.push_back(one.op);
  }
  const auto kernels = std::count_if(listing.begin(), listing.end(), is_kernel);
  const auto collectives = std::count_if(listing.begin(), listing.end(), [](const ListedOperator& one) {
    return std::holds_alternative<GroupCollective>(one.op.work);
  });
  std::string out = fmt::format("  {:<21} {:<9} {:>11} {:>10}  {:>12}{}\n", part, pass, counted(kernels, "kernel"),
                                to_text(total), gigaflops(executed_flops(operators)),
                                collectives > 0 ? "  " + counted(collectives, "collective") : "");
  if (detail == Detail::kBrief) {
    return out;
  }
  for (const ListedOperator& one : listing) {
    const Words words = std::visit(Describe{}, one.op.work);
    const std::string time = is_kernel(one) ? fmt::format(" {:>10}", to_text(one.time)) : std::string();
    out += fmt::format("    {:<24} {:<46} {:>14}{}\n", one.op.name, words.shape, words.amount, time);
  }
  return out;
}

// "all_gather 48 MiB of 8 ranks", one for each of those that go together.
std::string communications_text(const ListedOperation& one, const Program& program) {
  std::vector<std::string> out;
  for (const CommunicationId id : one.communications) {
    const Communication& communication = program.communications[id.index()];
    const std::string whom = communication.host ? std::string("with the host")
                             : communication.op == CollectiveOp::kSendRecv
                                 ? std::string("with one rank")
                                 : fmt::format("of {} ranks", communication.groups.front().size());
    out.push_back(
        fmt::format("{} {} {}", kCollectiveOpNames.name_of(communication.op), to_text(communication.size), whom));
  }
  return fmt::format("{}", fmt::join(out, " + "));
}

// Where an operation runs, what it is called and what it does.
std::string operation_text(const ListedOperation& one, const Program& program) {
  std::string each;
  switch (one.first.kind) {
    case OperationKind::kKernels:
      each = fmt::format("{} in {}", counted(one.first.run.kernels, "kernel"), to_text(one.first.run.device));
      break;
    case OperationKind::kCommunication:
      each = communications_text(one, program);
      break;
    case OperationKind::kHostWork:
      each = to_text(one.first.run.host);
      break;
    case OperationKind::kHostWait:
      each = "waits for the device";
      break;
  }
  const bool on_host = one.first.kind == OperationKind::kHostWork || one.first.kind == OperationKind::kHostWait;
  return fmt::format("{:<10} {:<48} {}", on_host ? "host" : kStreamNames.name_of(one.first.stream),
                     program.names[static_cast<std::size_t>(one.first.name)], each);
}

// "1 x embedding, 12 x layer"
std::string held_text(const std::vector<Chunk>& chunks, const ModelSpec& model) {
  std::map<std::string, std::int64_t> parts;
  for (const Chunk& chunk : chunks) {
    parts["embedding"] += chunk.embedding == Holds::kYes ? 1 : 0;
    parts["head"] += chunk.head == Holds::kYes ? 1 : 0;
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      ++parts[part_name(model, layer_kind(model, chunk.first_layer + layer))];
    }
  }
  std::vector<std::string> held;
  for (const auto& [name, count] : parts) {
    if (count > 0) {
      held.push_back(fmt::format("{} x {}", count, name));
    }
  }
  return fmt::format("{}", fmt::join(held, ", "));
}

// Classes that follow one another and do the same, each operation perhaps another number of times.
struct AlikeClasses {
  std::size_t first = 0;
  std::size_t last = 0;
  std::string held;
  std::vector<std::string> operations;
};

std::vector<AlikeClasses> alike_classes(const ExplainedProgram& explained, const Scenario& scenario,
                                        const Layout& layout, const Program& program, Detail detail) {
  std::vector<AlikeClasses> out;
  for (std::size_t c = 0; c < explained.classes.size(); ++c) {
    const ExplainedClass& one = explained.classes[c];
    AlikeClasses alike{c, c, held_text(layout.stages[one.stage].chunks, scenario.model), {}};
    for (const ListedOperation& operation : one.operations) {
      if (detail == Detail::kFull) {
        alike.operations.push_back(operation_text(operation, program));
      }
    }
    if (!out.empty() && out.back().held == alike.held && out.back().operations == alike.operations &&
        explained.classes[out.back().first].ranks == one.ranks) {
      out.back().last = c;
    } else {
      out.push_back(std::move(alike));
    }
  }
  return out;
}

// How often an operation happens: "96", or "1-7" where classes differ.
std::string count_text(const ExplainedProgram& explained, const AlikeClasses& alike, std::size_t operation) {
  std::int64_t fewest = explained.classes[alike.first].operations[operation].count;
  std::int64_t most = fewest;
  for (std::size_t c = alike.first; c <= alike.last; ++c) {
    fewest = std::min(fewest, explained.classes[c].operations[operation].count);
    most = std::max(most, explained.classes[c].operations[operation].count);
  }
  return fewest == most ? fmt::format("{}", most) : fmt::format("{}-{}", fewest, most);
}

std::string class_text(const ExplainedProgram& explained, const AlikeClasses& alike) {
  const ExplainedClass& first = explained.classes[alike.first];
  std::vector<std::string> passes;
  for (std::size_t i = 0; i < std::min(kPassesShown, first.passes.size()); ++i) {
    passes.push_back(pass_text(first.passes[i]));
  }
  const std::string names =
      alike.first == alike.last ? first.name : first.name + " to " + explained.classes[alike.last].name;
  std::string out =
      fmt::format("  {}: {} each, {}; {} passes: {}{}{}\n", names, counted(first.ranks, "rank"), alike.held,
                  first.passes.size(), fmt::join(passes, " "), first.passes.size() > kPassesShown ? " ..." : "",
                  alike.first == alike.last ? "" : fmt::format(" ({})", first.name));
  for (std::size_t i = 0; i < alike.operations.size(); ++i) {
    out += fmt::format("    {:>9} x {}\n", count_text(explained, alike, i), alike.operations[i]);
  }
  return out;
}

}  // namespace

std::string program_text(const Scenario& scenario, const Layout& layout, const Program& program,
                         std::span<const KernelCosts* const> costs, Detail detail) {
  const ExplainedProgram explained = explain(scenario, layout, program, costs);
  std::string out;
  std::set<std::string> said;  // models differ in some of their parts only
  for (const ExplainedModel& model : explained.models) {
    std::string parts;
    for (const ListedPart& part : model.parts) {
      for (const auto& [pass, listing] : {std::pair<std::string_view, const OperatorListing&>("forward", part.forward),
                                          {"recompute", part.recompute},
                                          {"backward", part.backward}}) {
        const std::string text = listing_text(part.name, pass, listing, detail);
        parts += said.insert(text).second ? text : "";
      }
    }
    if (!parts.empty()) {
      out += fmt::format("program: {}parts of {}{}, one micro-batch on one rank\n", out.empty() ? "the " : "other ",
                         scenario.model.name, model.name);
      out += parts;
    }
  }
  for (const AlikeClasses& alike : alike_classes(explained, scenario, layout, program, detail)) {
    out += class_text(explained, alike);
  }
  return out;
}

}  // namespace trainyard
