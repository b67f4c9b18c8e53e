#pragma once
// The scoreboard as Markdown.
#include <string>

namespace trainyard {

struct Scoreboard;

std::string scoreboard_page(const Scoreboard& board);

}  // namespace trainyard
