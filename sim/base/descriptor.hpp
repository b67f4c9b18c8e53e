#pragma once
// An open file that is closed when it goes out of scope, and how long one waits for the other side of a pipe.
#include <unistd.h>

#include <chrono>
#include <utility>

namespace trainyard {

// How long the other side of a pipe may take to open it, and to send the next byte once it has.
inline constexpr std::chrono::seconds kPatience{3};
inline constexpr std::chrono::seconds kPatienceWithWriter{60};

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }

  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

}  // namespace trainyard
