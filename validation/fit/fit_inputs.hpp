#pragma once
// What a fit of kernel models rests on: whether the rows are enough and agree, and over which range they speak.
#include <string>

#include "validation/fit/kernel_fitter.hpp"

namespace trainyard {

// Throws UserError when no section (GEMMs of one family, one attention kernel, memory-bound kernels of one kind) has as
// many rows as its parameters need, and when repeats of one configuration disagree. Returns the sections that have too
// few beside others that have enough: [{"section", "rows", "needed"}]; they keep the values of the present profile.
Json check_fit_inputs(const MeasurementRows& rows, const std::string& file);

// By GPU and format or kernel: least and most of every dimension of the work, in the order of their names.
Json valid_range(const MeasurementRows& rows);

}  // namespace trainyard
