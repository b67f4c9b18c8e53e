#pragma once
// Runs independent simulations in child processes: each starts from the same state, so its result does not depend on
// what ran before, and one that crashes costs one result.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace trainyard {

// Calls task(0), task(1), ... in children, at most `workers` at once, and returns what each returned, in order. Nothing
// for a child that died. Throws UserError when not even one can be started. Children die with this process.
std::vector<std::optional<std::string>> run_in_children(std::size_t tasks, std::size_t workers,
                                                        const std::function<std::string(std::size_t)>& task);

// Number of processors this process may use.
std::size_t available_processors();

}  // namespace trainyard
