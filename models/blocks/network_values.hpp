#pragma once
// The room's own: what the layers of a network hand on to one another, and convolutions as steps.
#include <string_view>

#include "models/blocks/description.hpp"
#include "models/network.hpp"

namespace trainyard {

// What a layer writes. Several may read it and keep it for their backward pass: it is kept once.
class Value {
 public:
  Value(std::string_view name, std::int64_t elements, Bytes element)
      : tensor_{.name = name, .elements = elements, .element = element, .written_again_by = {}} {}

  void keep(Description& description) {
    if (!is_kept_) {
      description.keep(tensor_);
      is_kept_ = true;
    }
  }
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
  bool is_kept_ = false;
};

// Of all samples of the micro-batch.
std::int64_t batch_elements(const ShardContext& context, const Extent& extent);

// Convolutions with their weights; transposed ones run the passes of the convolution that they invert.
void convolution(Description& description, const NetworkLayer& layer);
void batch_norm(Description& description, const NetworkLayer& layer);
void embedding(Description& description, const NetworkLayer& layer);
void self_attention(Description& description, const NetworkLayer& layer, Value& input);
void lstm(Description& description, const NetworkLayer& layer);
// Tables that ranks share out, and what becomes of their vectors: network_tables.cpp.
void tables(Description& description, const NetworkLayer& layer);
void interaction(Description& description, const NetworkLayer& layer);
// One with its weights on `rows` vectors, whose input the caller keeps.
void dense(Description& description, std::string_view name, std::int64_t in, std::int64_t out, std::int64_t rows,
           bool has_bias, bool needs_input_gradient);

}  // namespace trainyard
