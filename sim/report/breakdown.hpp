#pragma once
// Where the step went: every instant of every device is attributed to one cause.
#include <array>
#include <string_view>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// Averages over devices; they sum to the step. Communication counts only while no kernel runs beside it.
struct Breakdown {
  Seconds compute{};
  Seconds exposed_tp{};
  Seconds exposed_pp{};
  Seconds exposed_dp{};
  Seconds exposed_cp{};
  Seconds exposed_ep{};
  Seconds bubble{};  // waiting for other ranks
  Seconds host{};    // the device idle because the host had not issued work yet
  Seconds input{};   // and because its next samples were not there
  Seconds optimizer{};
  Seconds other{};

  struct Part {
    std::string_view name;
    Seconds time;
  };
  std::array<Part, 11> parts() const;
  Seconds total() const;
};

// In the order of parts().
inline constexpr std::array<Seconds Breakdown::*, 11> kBreakdownParts = {
    &Breakdown::compute,    &Breakdown::exposed_tp, &Breakdown::exposed_pp, &Breakdown::exposed_dp,
    &Breakdown::exposed_cp, &Breakdown::exposed_ep, &Breakdown::bubble,     &Breakdown::host,
    &Breakdown::input,      &Breakdown::optimizer,  &Breakdown::other};

Breakdown break_down(const Program& program, const Timeline& timeline);

}  // namespace trainyard
