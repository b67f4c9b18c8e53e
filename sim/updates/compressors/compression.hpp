#pragma once
// What is pushed in fewer bytes: how many, what it costs a GPU to make them, and what the receiver makes of them. Every
// row is a file here.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/base/random.hpp"
#include "sim/base/work.hpp"
#include "sim/scenario/synchronisation.hpp"

namespace trainyard {

// How the messages of all workers meet where there are no servers.
enum class MessageExchange {
  kAllReduce,      // messages may be added up as they are: a ring
  kTwoAllReduces,  // one of a factor, then one of the other, which needs the first
  kAllGather,      // everybody gets everybody's
};
// What is compressed.
enum class CompressedPart {
  kEach,      // what a worker pushes
  kMean,      // the mean of all: adding up comes before the steps that are not linear
  kMomentum,  // a worker's momentum in place of its gradient
};

// The fp32 values of a gradient in matrices, row by row, one after another. A vector has one row.
struct MatrixShape {
  std::int64_t rows = 1;
  std::int64_t columns = 0;
  double values() const { return static_cast<double>(rows) * static_cast<double>(columns); }
};
using Matrices = std::span<const MatrixShape>;
using Values = std::vector<double>;
// Of so many values in one matrix, as square as can be.
MatrixShape square_matrix(double values);
double count_values(Matrices matrices);

// Of a message: a kernel's time on a GPU, and what it takes to add one to what was received.
struct MessageTimes {
  Seconds encode{};
  Seconds decode{};
};

// Draws of a message; what a scheme keeps from one message to the next.
struct MessageState {
  Draw drawn;
  Values* kept = nullptr;
};

struct CompressorTraits {
  MessageExchange exchange = MessageExchange::kAllReduce;
  CompressedPart part = CompressedPart::kEach;
  ErrorFeedback usual_feedback = ErrorFeedback::kAbsent;
  Bytes (*bytes)(const Compression&, Matrices) = nullptr;  // of one message
  // Kernels that make a message, and that add one message to what has been received.
  std::vector<KernelWork> (*encode)(const Compression&, Matrices) = nullptr;
  std::vector<KernelWork> (*decode)(const Compression&, Matrices) = nullptr;
  // What the receiver decodes.
  void (*send)(const Compression&, Matrices, const MessageState&, Values&) = nullptr;
};
}  // namespace trainyard
