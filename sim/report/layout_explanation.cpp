#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/quantity_text.hpp"
#include "sim/program/listing.hpp"
#include "sim/report/explanation.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kGroupsShown = 3;

struct Groups {
  std::string_view name;
  std::string_view meaning;
  std::vector<std::vector<RankId>> ranks;
};

// Every kind of group that has more than one member.
std::vector<Groups> groups_of(const Scenario& scenario, const Layout& layout) {
  const RankGrid& grid = layout.grid;
  std::vector<Groups> all;
  all.push_back({"tp", "share out each layer", grid.groups({Dimension::kTensor})});
  all.push_back({"cp", "share out each sequence", grid.groups({Dimension::kContext})});
  all.push_back({"pp", "are the stages of one pipeline", grid.groups({Dimension::kPipeline})});
  all.push_back({"dp", "take other sequences", grid.groups({Dimension::kData})});
  if (scenario.layout.cp > 1) {
    all.push_back({"dp x cp", "hold the same parameters", grid.groups({Dimension::kContext, Dimension::kData})});
  }
  if (scenario.layout.hsdp_shard < scenario.layout.data_ranks()) {
    const auto same = grid.groups({Dimension::kContext, Dimension::kData});
    const auto shard = static_cast<std::size_t>(scenario.layout.hsdp_shard);
    all.push_back({"shard", "share out a copy of the parameters", blocks_of(same, shard)});
    all.push_back({"replica", "hold the same shard", across_blocks(same, shard)});
  }
  if (scenario.model.experts) {
    const RankGrid& experts = layout.expert_grid;
    all.push_back({"ep", "share out the experts", experts.groups({Dimension::kExpert})});
    all.push_back({"etp", "share out each expert", experts.groups({Dimension::kTensor})});
    all.push_back({"expert dp", "hold the same experts", experts.groups({Dimension::kData})});
  }
  all.erase(
      std::remove_if(all.begin(), all.end(), [](const Groups& groups) { return groups.ranks.front().size() < 2; }),
      all.end());
  return all;
}

// "0-7", "0 to 960 by 64" or, where the ranks do not stand evenly, "0 1 64 65 ...".
std::string ranks_text(const std::vector<RankId>& ranks) {
  const std::size_t step = ranks[1].index() - ranks[0].index();
  bool even = true;
  for (std::size_t i = 1; i < ranks.size(); ++i) {
    even = even && ranks[i].index() == ranks[i - 1].index() + step;
  }
  if (ranks.size() == 2) {
    return fmt::format("{} {}", ranks[0].index(), ranks[1].index());
  }
  if (even) {
    return step == 1 ? fmt::format("{}-{}", ranks.front().index(), ranks.back().index())
                     : fmt::format("{} to {} by {}", ranks.front().index(), ranks.back().index(), step);
  }
  constexpr std::size_t kShown = 4;
  std::string out;
  for (std::size_t i = 0; i < std::min(kShown, ranks.size()); ++i) {
    out += fmt::format("{} ", ranks[i].index());
  }
  return out + (ranks.size() > kShown ? "..." : "");
}

std::string group_line(const Groups& groups) {
  std::string out = fmt::format("  {:<9} {} of {} ranks that {}: ", groups.name, groups.ranks.size(),
                                groups.ranks.front().size(), groups.meaning);
  for (std::size_t i = 0; i < std::min(kGroupsShown, groups.ranks.size()); ++i) {
    out += (i == 0 ? "" : "; ") + ranks_text(groups.ranks[i]);
  }
  return out + (groups.ranks.size() > kGroupsShown ? "; ...\n" : "\n");
}

// "embedding, layers 0-11"
std::string chunk_text(const Chunk& chunk) {
  std::string out = chunk.layers == 0 ? "no layer"
                    : chunk.layers == 1
                        ? fmt::format("layer {}", chunk.first_layer)
                        : fmt::format("layers {}-{}", chunk.first_layer, chunk.first_layer + chunk.layers - 1);
  out = (chunk.embedding == Holds::kYes ? "embedding, " : "") + out;
  return out + (chunk.head == Holds::kYes ? ", head" : "");
}

}  // namespace

std::string layout_text(const Scenario& scenario, const Layout& layout) {
  std::string out = fmt::format("layout: {} rank{}, fastest first {}\n", layout.grid.ranks(),
                                layout.grid.ranks() == 1 ? "" : "s", scenario.layout.order);
  for (const Groups& groups : groups_of(scenario, layout)) {
    out += group_line(groups);
  }
  for (std::size_t s = 0; s < layout.stages.size(); ++s) {
    std::string chunks;
    for (const Chunk& chunk : layout.stages[s].chunks) {
      chunks += (chunks.empty() ? "" : "; ") + chunk_text(chunk);
    }
    out += fmt::format("  stage {:<3} {:.4g} M parameters a rank: {}\n", s,
                       static_cast<double>(layout.stage_parameters[s]) / 1e6, chunks);
  }
  return out;
}

Json layout_json(const Scenario& scenario, const Layout& layout) {
  Json groups = Json::array();
  for (const Groups& one : groups_of(scenario, layout)) {
    Json ranks = Json::array();
    for (const std::vector<RankId>& members : one.ranks) {
      Json group = Json::array();
      for (const RankId rank : members) {
        group.push_back(rank.index());
      }
      ranks.push_back(std::move(group));
    }
    groups.push_back({{"name", one.name},
                      {"members", std::string(one.meaning)},
                      {"size", one.ranks.front().size()},
                      {"count", one.ranks.size()},
                      {"ranks", std::move(ranks)}});
  }
  Json stages = Json::array();
  for (std::size_t s = 0; s < layout.stages.size(); ++s) {
    Json chunks = Json::array();
    for (const Chunk& chunk : layout.stages[s].chunks) {
      chunks.push_back({{"first_layer", chunk.first_layer},
                        {"layers", chunk.layers},
                        {"embedding", chunk.embedding == Holds::kYes},
                        {"head", chunk.head == Holds::kYes}});
    }
    stages.push_back({{"parameters_per_rank", layout.stage_parameters[s]}, {"chunks", std::move(chunks)}});
  }
  return {{"ranks", layout.grid.ranks()},
          {"order", scenario.layout.order},
          {"groups", std::move(groups)},
          {"stages", std::move(stages)}};
}

}  // namespace trainyard
