#pragma once
// Who sends how much to whom in an all-to-all-v: weights with a row for each sender and a column for each receiver.
#include <span>
#include <string_view>
#include <vector>

#include "sim/collectives/base/collective.hpp"

namespace trainyard {

using ExchangeWeights = std::vector<std::vector<double>>;

// "even"; "zipf:S": receiver j gets a share of 1 / (j+1)^S of every sender's data, as tokens on experts of unequal
// popularity do; "3,1,1,...": the receivers' shares, one for each rank; or the path of a CSV table without a header,
// one row a sender. Throws UserError.
ExchangeWeights read_exchange(std::string_view text, int ranks, std::string_view file = "--counts");

// Weights scaled to a mean send buffer of `size`; what a member keeps is no transfer.
std::vector<Transfer> transfers_of(const ExchangeWeights& weights, std::span<const DeviceId> members, Bytes size);

}  // namespace trainyard
