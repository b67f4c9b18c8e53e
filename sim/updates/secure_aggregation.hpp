#pragma once
// A sum of clients' vectors of which the server sees nothing but the sum: every pair of clients shares a mask that one
// adds and the other takes away, and each has one of its own. Source: Bonawitz et al., "Practical secure aggregation
// for privacy-preserving machine learning", CCS 2017, figure 4 and section 7: 2n public keys, 5n - 4 secret shares and
// one masked vector for a client among n.
#include "sim/base/quantity.hpp"

namespace trainyard {

struct SecureRound {
  int clients = 1;
  int dropped = 0;      // after they had shared their keys, before their vector arrived
  double values = 0.0;  // of a vector
};

struct SecureCosts {
  Bytes received{};      // by a client: others' keys and shares
  Bytes shared{};        // by a client that then drops out: its keys and shares
  Bytes sent{};          // by one that does not: likewise, the masked vector, and shares of what unmasks the sum
  Bytes client_masks{};  // that one client makes: one for each of the others and its own
  Bytes server_masks{};  // the own ones of those that are left, and each of theirs with those that dropped out
  int round_trips = 0;   // beside that of the vectors
};
SecureCosts secure_costs(const SecureRound& round);

}  // namespace trainyard
