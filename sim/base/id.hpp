#pragma once
// Indices of different things are different types: Id<struct RankTag> does not convert to Id<struct LinkTag>.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace trainyard {

template <class Tag>
struct Id {
  std::int32_t value = -1;
  constexpr auto operator<=>(const Id&) const = default;
  constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
  constexpr bool valid() const { return value >= 0; }
  static constexpr Id from(std::size_t index) { return {static_cast<std::int32_t>(index)}; }
};

using RankId = Id<struct RankTag>;      // a process of the training job
using DeviceId = Id<struct DeviceTag>;  // a GPU of the fabric
using VertexId = Id<struct VertexTag>;  // any vertex of the fabric graph
using LinkId = Id<struct LinkTag>;      // one direction of a link of the fabric
using ClassId = Id<struct ClassTag>;    // ranks that run the same program
using StreamId = Id<struct StreamTag>;  // a stream of one rank
using OperationId = Id<struct OperationTag>;

}  // namespace trainyard

template <class Tag>
struct std::hash<trainyard::Id<Tag>> {
  std::size_t operator()(trainyard::Id<Tag> id) const noexcept { return std::hash<std::int32_t>{}(id.value); }
};
