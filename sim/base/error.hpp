#pragma once
// The one exception type for the user's faults. Faults of trainyard itself are assertions (TY_ASSERT).
#include <exception>
#include <string>

namespace trainyard {

// Process exit codes (contract).
enum class ExitCode { kDone = 0, kInternal = 1, kBadInput = 2, kInfeasible = 3, kDeadlock = 4 };

// What a person needs to mend their input. Empty fields are left out of the message.
struct Fault {
  std::string file;     // file or command line flag the input came from
  std::string pointer;  // JSON pointer (RFC 6901) or flag inside it
  std::string found;    // what was read
  std::string allowed;  // what would have been accepted
  std::string nearest;  // nearest valid name
  std::string problem;  // one sentence
  std::string remedy;   // what to do about it
};

class UserError : public std::exception {
 public:
  explicit UserError(Fault fault, ExitCode code = ExitCode::kBadInput);
  const char* what() const noexcept override { return message_.c_str(); }
  const Fault& fault() const { return fault_; }
  ExitCode code() const { return code_; }

 private:
  Fault fault_;
  ExitCode code_;
  std::string message_;
};

[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace trainyard

// States an invariant of trainyard's own; kept in Release builds because a wrong prediction is worse than a stop.
#define TY_ASSERT(condition)                                         \
  do {                                                               \
    if (!(condition)) {                                              \
      ::trainyard::assertion_failed(#condition, __FILE__, __LINE__); \
    }                                                                \
  } while (false)
