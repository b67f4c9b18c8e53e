// The sanitizers slow a test down by an order of magnitude: what repeats one path over many inputs takes fewer there.
#pragma once

namespace trainyard::checks {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace trainyard::checks
