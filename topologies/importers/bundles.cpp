#include "topologies/importers/bundles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

using Links = std::vector<std::vector<int>>;

[[noreturn]] void fail_links(const std::string& file, std::string pointer, std::string found, std::string allowed,
                             std::string problem) {
  throw UserError({.file = file,
                   .pointer = std::move(pointer),
                   .found = std::move(found),
                   .allowed = std::move(allowed),
                   .problem = std::move(problem),
                   .remedy = "name a cluster with the file's GPU by --like, or mend the file"});
}

// GPUs that links join, directly or over others.
std::vector<std::vector<std::size_t>> components_of(const Links& links) {
  std::vector<std::vector<std::size_t>> out;
  std::vector<char> seen(links.size());
  for (std::size_t first = 0; first < links.size(); ++first) {
    if (seen[first] != 0) {
      continue;
    }
    std::vector<std::size_t> members = {first};
    seen[first] = 1;
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::size_t b = 0; b < links.size(); ++b) {
        if (links[members[i]][b] > 0 && seen[b] == 0) {
          seen[b] = 1;
          members.push_back(b);
        }
      }
    }
    std::sort(members.begin(), members.end());
    out.push_back(std::move(members));
  }
  return out;
}

// Whether a switch may show so many links of one GPU: all that a GPU of the generation has, less a third that is
// broken.
bool may_be_switched(int width, const LikeRates& rates) {
  return 3 * width >= 2 * rates.most_links ||
         std::find(rates.usual_links.begin(), rates.usual_links.end(), width) != rates.usual_links.end();
}

// All members on one plane, each with as many links as it shows to the one that sees most of them.
void join_by_switch(const Links& links, const std::vector<std::size_t>& members, int plane, const std::string& file,
                    ImportedNode& node) {
  std::vector<std::string> narrow;
  for (const std::size_t a : members) {
    const int width = *std::max_element(links[a].begin(), links[a].end());
    node.gpus[a].to_switch = width;
    node.gpus[a].plane = plane;
  }
  for (const std::size_t a : members) {
    for (const std::size_t b : members) {
      const int least = std::min(node.gpus[a].to_switch, node.gpus[b].to_switch);
      const std::string pair = node.gpus[a].name + " and " + node.gpus[b].name;
      if (a < b && links[a][b] == 0) {
        fail_links(file, pair, "no NVLink between them", fmt::format("NV{}", least),
                   "both have all their NVLinks to other GPUs, as on a switch, and none to each other");
      }
      if (a < b && links[a][b] < least) {
        narrow.push_back(fmt::format("{} (NV{} where both show NV{} to others)", pair, links[a][b], least));
      }
    }
  }
  if (!narrow.empty()) {
    node.notes.push_back("narrower than the switch that joins them, taken as wide: " + listed(narrow));
  }
}

}  // namespace

void settle_bundles(const Links& links, const LikeRates& rates, ScaleUp like, const std::string& file,
                    ImportedNode& node) {
  int planes = 0;
  std::vector<std::string> alone;
  bool any = false;
  for (const std::vector<std::size_t>& members : components_of(links)) {
    if (members.size() == 1) {
      alone.push_back(node.gpus[members.front()].name);
      continue;
    }
    any = true;
    int most = 0;
    int bundle = 0;
    for (const std::size_t a : members) {
      most = std::max(most, std::accumulate(links[a].begin(), links[a].end(), 0));
      for (const std::size_t b : members) {
        bundle = std::max(bundle, links[a][b]);
        if (links[a][b] > rates.most_links) {
          fail_links(file, node.gpus[a].name + " and " + node.gpus[b].name, fmt::format("{} NVLinks", links[a][b]),
                     fmt::format("up to {}", rates.most_links),
                     fmt::format("{} has fewer NVLinks than the file says", rates.scale_up_from));
        }
      }
    }
    const bool all_to_one = members.size() == 2 && bundle == rates.most_links && like == ScaleUp::kSwitch;
    if (most > rates.most_links && !may_be_switched(bundle, rates)) {
      fail_links(file, node.gpus[members.front()].name, fmt::format("{} NVLinks of one GPU in all", most),
                 fmt::format("up to {}, or as many to every GPU of a switch", rates.most_links),
                 fmt::format("{} has fewer NVLinks than the file says", rates.scale_up_from));
    }
    if (most > rates.most_links || all_to_one) {
      join_by_switch(links, members, planes++, file, node);
      continue;
    }
    for (const std::size_t a : members) {
      for (const std::size_t b : members) {
        if (a < b && links[a][b] > 0) {
          node.bundles.push_back({static_cast<int>(a), static_cast<int>(b), links[a][b]});
        }
      }
    }
  }
  if (any && !alone.empty()) {
    node.notes.push_back(
        fmt::format("{} {} no NVLink in the file: over PCIe", listed(alone), alone.size() == 1 ? "has" : "have"));
  }
  if (!any && like != ScaleUp::kPcie && like != ScaleUp::kNone && node.gpus.size() > 1) {
    node.notes.push_back("no NVLink between any two GPUs in the file: all over PCIe");
  }
}

}  // namespace trainyard
