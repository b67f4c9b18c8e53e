#pragma once
// How unequal the clients' data are.
#include <cstdint>
#include <vector>

#include "sim/base/name_table.hpp"

namespace trainyard {

enum class DataSizes {
  kEqual,
  kUniform,    // from nothing to twice the mean
  kLogNormal,  // of a standard deviation as large as the mean
  kZipf,       // the k-th largest has 1 / k of the largest; which client that is, is drawn
};
inline constexpr NameTable<DataSizes, 4> kDataSizesNames{{{{"equal", DataSizes::kEqual},
                                                           {"uniform", DataSizes::kUniform},
                                                           {"log-normal", DataSizes::kLogNormal},
                                                           {"zipf", DataSizes::kZipf}}}};

// Of a mean of about 1; all are more than nothing.
std::vector<double> draw_data_sizes(DataSizes sizes, int clients, std::uint64_t seed);

}  // namespace trainyard
