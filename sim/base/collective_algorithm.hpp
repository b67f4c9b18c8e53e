#pragma once
// The names of collective algorithms and of the library's protocols. What an algorithm does is its row's
// (sim/collectives/algorithms/table.hpp).
#include <cstddef>
#include <optional>
#include <string_view>

#include "sim/base/name_table.hpp"

namespace trainyard {

enum class Algorithm {
  // NCCL's, in the order of its tuner's tables.
  kRing,
  kTree,
  kCollNetDirect,
  kCollNetChain,
  kNvls,
  kNvlsTree,
  kPat,
  // NCCL's without a model of its tuner.
  kPointToPoint,
  // When forced.
  kHalvingDoubling,
  kRecursiveDoubling,
  kBruck,
  kPairwise,
  kDirect,
  kHierarchical,
  kTorusRing
};
inline constexpr std::size_t kTunedAlgorithms = 7;  // the first ones
inline constexpr std::size_t kAlgorithms = 15;
inline constexpr NameTable<Algorithm, kAlgorithms> kAlgorithmNames{
    {{{"ring", Algorithm::kRing},
      {"tree", Algorithm::kTree},
      {"collnet_direct", Algorithm::kCollNetDirect},
      {"collnet_chain", Algorithm::kCollNetChain},
      {"nvls", Algorithm::kNvls},
      {"nvls_tree", Algorithm::kNvlsTree},
      {"pat", Algorithm::kPat},
      {"p2p", Algorithm::kPointToPoint},
      {"halving_doubling", Algorithm::kHalvingDoubling},
      {"recursive_doubling", Algorithm::kRecursiveDoubling},
      {"bruck", Algorithm::kBruck},
      {"pairwise", Algorithm::kPairwise},
      {"direct", Algorithm::kDirect},
      {"hierarchical", Algorithm::kHierarchical},
      {"torus_ring", Algorithm::kTorusRing}}}};

enum class Protocol { kLl, kLl128, kSimple };
inline constexpr NameTable<Protocol, 3> kProtocolNames{
    {{{"LL", Protocol::kLl}, {"LL128", Protocol::kLl128}, {"Simple", Protocol::kSimple}}}};

// For output; blank where nothing runs.
constexpr std::string_view name_of(std::optional<Algorithm> algorithm) {
  return algorithm ? kAlgorithmNames.name_of(*algorithm) : std::string_view();
}
constexpr std::string_view name_of(std::optional<Protocol> protocol) {
  return protocol ? kProtocolNames.name_of(*protocol) : std::string_view();
}

}  // namespace trainyard
