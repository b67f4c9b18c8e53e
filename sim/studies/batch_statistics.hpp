#pragma once
// What a batch costs in samples: the larger it is, the more of them a model needs to reach the same accuracy.
//
//   E(B) = E_min (1 + B / B_crit)
//
// with E samples to the target, B samples in a step, B_crit the critical batch, at which twice as many samples are
// needed as with tiny ones. Source: McCandlish et al., arXiv 1812.06162, equations 2.11 and 5.1. It stops being true
// where the learning rate is not tuned for each batch, and far above the batches that it was fitted to, where some
// models reach the target no more.
#include <string>
#include <vector>

namespace trainyard {

struct BatchStatistics {
  double least_samples = 0.0;   // E_min, of tiny batches
  double critical_batch = 0.0;  // B_crit, samples
  double error = 0.0;           // how far the samples may be off, as a fraction; 0 where they are the user's own

  double samples(double batch) const { return least_samples * excess(batch); }
  // Samples over those that tiny batches need, 1 and more.
  double excess(double batch) const { return 1.0 + batch / critical_batch; }
};

// A published run to one target with several batches.
struct BatchPoint {
  double batch = 0.0;    // samples
  double samples = 0.0;  // to the target
};

// By linear least squares of E over B, of two points or more whose batches differ. E_min and B_crit are not above zero
// where samples do not grow with the batch.
BatchStatistics fit_batch_statistics(const std::vector<BatchPoint>& points);

struct BatchReference {
  std::string name;
  std::string description;
  double tokens_per_sample = 0.0;  // of sequences; 0: a sample is no sequence
  double stated_error = 0.0;       // that no point of the fit is beyond, a fraction of the published samples
  std::vector<BatchPoint> points;
  BatchStatistics fit;

  double worst_error() const;  // of the fit over the points
  // For sequences of another length: the critical batch and the target are the same in tokens.
  BatchStatistics at(double seq_len) const;
};

// Entries of sim/studies/batch_references.
std::vector<std::string> batch_reference_names();
// Throws UserError with the nearest names.
BatchReference load_batch_reference(const std::string& name, const std::string& flag);

}  // namespace trainyard
