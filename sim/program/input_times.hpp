#pragma once
// How long the hosts of a layout take to make the samples of a micro-batch.
#include "sim/layout/layout.hpp"

namespace trainyard {

// Of one rank and micro-batch, each as if it went on alone. Stages of the pipeline run beside one another on different
// batches, so batch after batch is made at the pace of the slower one.
struct InputTimes {
  Seconds read{};
  Seconds decode{};

  Seconds pace() const { return max(read, decode); }
};

// Whether ranks of the stage read samples: the first stage takes them, the last one the labels.
bool reads_samples(const Stage& stage);

// B samples of S bytes, of a storage that gives a node N and everybody together W bytes a second, first bytes after L,
// with q requests of a rank under way:
//   read = max(n B S / N, a B S / W, B L / q)
// with n the replicas that the fullest node reads for, and a those that all nodes do. Ranks of a node that work on the
// same samples read them once: the others find them in the host's memory. The last term is Little's law.
//   decode = B x seconds of a core / workers
InputTimes input_times(const Scenario& scenario, const Layout& layout);

}  // namespace trainyard
