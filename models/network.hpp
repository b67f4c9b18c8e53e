#pragma once
// Models that are lists of layers over images, features or sequences: convolutional networks, perceptrons, recurrent
// networks. What a layer reads and writes is settled when the list is read.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {

// What a layer works on, of one sample: an image, features (1 x 1), or a sequence (height 1, one position a column).
struct Extent {
  std::int64_t channels = 0;
  std::int64_t height = 1;
  std::int64_t width = 1;

  std::int64_t positions() const { return height * width; }
  std::int64_t elements() const { return channels * positions(); }
  auto operator<=>(const Extent&) const = default;
};

enum class NetworkLayerType {
  kConvolution,
  kTransposedConvolution,
  kLinear,
  kBatchNorm,
  kLayerNorm,
  kActivation,
  kMaxPool,
  kAveragePool,
  kGlobalPool,
  kDropout,
  kFlatten,
  kResidual,  // the sum of its branches; an empty one passes its input on
  kConcat,    // channels of its branches side by side
  kScale,     // its input times its one branch, a number for each channel (squeeze and excitation)
  kEmbedding,
  kAttention,
  kLstm,
  kTables,      // rows of several tables beside what it reads: a position for each; ranks share the tables out
  kInteraction  // the first position, and the product of every pair of positions (DLRM)
};

enum class Nonlinearity { kRelu, kRelu6, kSigmoid, kTanh, kSilu, kGelu };
inline constexpr NameTable<Nonlinearity, 6> kNonlinearityNames{{{{"relu", Nonlinearity::kRelu},
                                                                 {"relu6", Nonlinearity::kRelu6},
                                                                 {"sigmoid", Nonlinearity::kSigmoid},
                                                                 {"tanh", Nonlinearity::kTanh},
                                                                 {"silu", Nonlinearity::kSilu},
                                                                 {"gelu", Nonlinearity::kGelu}}}};

struct NetworkLayer {
  NetworkLayerType type = NetworkLayerType::kFlatten;
  Extent in;
  Extent out;
  // Of convolutions and pools; zeros are added at both borders.
  std::int64_t kernel_height = 1;
  std::int64_t kernel_width = 1;
  std::int64_t stride = 1;
  std::int64_t pad_height = 0;
  std::int64_t pad_width = 0;
  std::int64_t groups = 1;
  bool bias = false;         // of convolutions and linears
  bool is_first = false;     // nothing before it trains: its input needs no gradient
  std::int64_t rows = 0;     // of an embedding's table
  std::int64_t lookups = 0;  // of an embedding or of each table, that are summed into one vector
  std::int64_t tables = 0;   // how many; `rows` are those of all
  std::int64_t heads = 0;    // of attention
  Nonlinearity nonlinearity = Nonlinearity::kRelu;
  std::vector<std::vector<NetworkLayer>> branches;

  bool operator==(const NetworkLayer&) const = default;
};

// A part of the network that is computed, sharded and recomputed as one; what it keeps may be dropped but its input.
struct NetworkUnit {
  std::string name;
  std::vector<NetworkLayer> layers;

  const Extent& in() const { return layers.front().in; }
  const Extent& out() const { return layers.back().out; }
};

struct NetworkSpec {
  Extent input;
  std::vector<NetworkUnit> units;
  std::vector<std::int64_t> first_alike;  // of each unit: the first one with the same layers

  std::int64_t widest() const;         // elements of a sample, over all that any layer reads or writes
  bool has_tables() const;             // which ranks share out
  std::int64_t table_lookups() const;  // of a sample, in all tables
};

// From {"input": [channels, height, width], "units": [{"name", "layers", "times"}, ...]}. Throws UserError with the
// layer's pointer where shapes do not meet.
NetworkSpec read_network_spec(const JsonReader& json);
// The types of layers that are read.
std::vector<std::string> network_layer_types();

}  // namespace trainyard
