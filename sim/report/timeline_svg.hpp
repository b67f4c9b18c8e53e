#pragma once
// The timeline as a picture: one row per rank class, time from left to right.
//
// The tall lane of a row is the compute stream: a block is one pass of one micro-batch through one model chunk, from
// its first kernel to its last; lighter blocks belong to later chunks. The thin lane below it is communication that
// moves bytes; where its calls lie too close to be told apart, the colour is as strong as their share of the time. What
// stays grey is waiting.
#include <string>
#include <string_view>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// 1200 pixels wide. Of each class the rank with the lowest number is drawn.
std::string timeline_svg(std::string_view title, const Program& program, const Timeline& timeline);

}  // namespace trainyard
