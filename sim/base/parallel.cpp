#include "sim/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

#include "sim/base/fork_pool.hpp"

namespace trainyard {

void in_parallel(std::size_t parts, std::size_t workers, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> thrown(parts);
  const auto take_parts = [&] {
    for (std::size_t part = next++; part < parts; part = next++) {
      try {
        work(part);
      } catch (...) {
        thrown[part] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t t = 1; t < std::min(parts, workers); ++t) {
    try {
      threads.emplace_back(take_parts);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: those there are do it all
    }
  }
  take_parts();
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto first = std::find_if(thrown.begin(), thrown.end(), [](const auto& one) { return one != nullptr; });
  if (first != thrown.end()) {
    std::rethrow_exception(*first);
  }
}

std::size_t workers_for(double operations) {
  constexpr double kWorthIt = 1e5;
  return operations < kWorthIt ? 1 : available_processors();
}

}  // namespace trainyard
