#include "sim/updates/secure_aggregation.hpp"

#include <cmath>

namespace trainyard {

SecureCosts secure_costs(const SecureRound& round) {
  constexpr double kKeyBytes = 32.0;    // a point of Curve25519: RFC 7748
  constexpr double kShareBytes = 32.0;  // of a seed or a secret key of 256 bits
  constexpr double kValueBits = 32.0;
  constexpr double kByteBits = 8.0;
  const double clients = round.clients;
  const double left = clients - round.dropped;
  // A sum of so many values has no more than log2 of them further bits.
  const double vector = round.values * (kValueBits + std::ceil(std::log2(clients))) / kByteBits;
  const double shared = 2.0 * kKeyBytes + 2.0 * (clients - 1.0) * kShareBytes;
  return {.received = {2.0 * (clients - 1.0) * (kKeyBytes + kShareBytes)},
          .shared = {shared},
          .sent = {shared + vector + clients * kShareBytes},
          .client_masks = {clients * vector},
          .server_masks = {(left + round.dropped * left) * vector},
          .round_trips = 3};
}

}  // namespace trainyard
