#pragma once
// How long the hosts of a layout take to make the samples of a micro-batch.
#include "sim/layout/layout.hpp"

namespace trainyard {

// Of one rank and micro-batch, each as if it went on alone. Stages of the pipeline run beside one another on different
// batches, so batch after batch is made at the pace of the slower one.
struct InputTimes {
  // Of reading, what each of its limits asks for.
  Seconds latency{};
  Seconds of_node{};
  Seconds of_all{};
  Seconds decode{};

  Seconds read() const { return max(latency, max(of_node, of_all)); }
  Seconds pace() const { return max(read(), decode); }
};

// B samples of S bytes, of a storage that gives a node N and everybody together W bytes a second, first bytes after L,
// with q requests of a rank under way:
//   read = max(B L / q, n B S / N, a B S / W)
// with n the replicas that the fullest node reads for, and a those that all nodes do. Ranks of a node that work on the
// same samples read them once: the others find them in the host's memory. The first term is Little's law.
//   decode = B x seconds of a core / workers
InputTimes input_times(const Scenario& scenario, const Layout& layout);

}  // namespace trainyard
