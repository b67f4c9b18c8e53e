#pragma once
// What becomes of the process when the world outside ends it, or what it writes to goes away.
#include <string>

namespace trainyard {

// Called once, first of all. Descriptors 0 to 2 that are closed are opened so that no file takes their numbers; writing
// to those two fails. A file that grows too large and a pipe that nobody reads fail the write instead of killing the
// process. Signals that end the process take its temporary files with them, and end it all the same.
void prepare_process();

// SimGrid puts handlers of its own in place: ours again. Nothing where prepare_process was not called.
void restore_signals();

// The same in a child: it owns no temporary files, and dies with its parent. `parent` is the parent's process id.
void prepare_child(int parent);

// Ends the process as a broken pipe on its standard output does by custom; returns where that signal is ignored.
void end_by_broken_pipe();

// A file to remove should a signal end the process; returns what to call keep_when_killed with. Nothing (-1) when the
// list is full or the name too long.
int remove_when_killed(const std::string& file);
void keep_when_killed(int guard);

}  // namespace trainyard
