#pragma once
// What workers push, compressed or not.
#include "sim/updates/update_job.hpp"

namespace trainyard {

// The gradients: each layer as a matrix as square as can be.
std::vector<MatrixShape> matrices_of(const UpdateJob& job);

bool is_compressed(const UpdateJob& job, int update);
// Of the bytes of the parameters, in the worker's (or the round's) update of that number.
double pushed_share(const UpdateJob& job, int update);
// Before a worker may push.
Seconds encode_time(const UpdateJob& job, int update);

// Throws UserError where the mode cannot move what the compressor makes.
void check_compression(const UpdateJob& job);

}  // namespace trainyard
