// What each worker has of its own.
#include <fmt/format.h>

#include <functional>

#include "sim/base/quantity_text.hpp"
#include "sim/base/random.hpp"
#include "sim/cli/converge_options.hpp"

namespace trainyard {
namespace {

// "0=2,3=1.5": calls `take` with every worker and what stands behind its equals sign.
void for_each_named(const std::string& flag, const std::string& list, const std::string& example, std::size_t workers,
                    const std::function<void(std::size_t, const std::string&)>& take) {
  if (list.empty()) {
    return;
  }
  const int last = static_cast<int>(workers) - 1;
  std::vector<bool> is_named(workers);
  for (const std::string& one : split_list(list)) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos) {
      throw UserError({.file = flag,
                       .found = one,
                       .allowed = fmt::format("{}, with commas between several", example),
                       .problem = "this is no worker and what it has"});
    }
    const auto worker = static_cast<std::size_t>(whole_number(flag, one.substr(0, equals), 0, last));
    if (is_named[worker]) {
      throw UserError({.file = flag,
                       .found = list,
                       .allowed = "every worker once",
                       .problem = fmt::format("worker {} is named twice", worker)});
    }
    is_named[worker] = true;
    take(worker, one.substr(equals + 1));
  }
}

// What is drawn of a worker's NIC, apart from its iterations.
enum class DrawnOfNic : std::uint64_t { kBandwidth = 0x6e696301, kLatency };

double drawn_factor(const UpdateJob& job, std::size_t worker, DrawnOfNic what, double spread) {
  return Draw(job.seed).of(static_cast<std::uint64_t>(what)).of(worker).log_normal(spread * spread);
}

}  // namespace

void set_workers(const ConvergeOptions& options, UpdateJob& job) {
  constexpr double kMostSpread = 10.0;
  const auto spread_of = [](const char* flag, const std::string& typed) {
    return typed.empty() ? 0.0 : real_number(flag, typed, 0.0, kMostSpread);
  };
  const double bandwidth_spread = spread_of("--bandwidth-spread", options.bandwidth_spread);
  const double latency_spread = spread_of("--latency-spread", options.latency_spread);
  for (std::size_t worker = 0; worker < job.workers.size(); ++worker) {
    Nic& nic = job.workers[worker].nic;
    if (bandwidth_spread > 0.0) {
      nic.bandwidth = nic.bandwidth * drawn_factor(job, worker, DrawnOfNic::kBandwidth, bandwidth_spread);
    }
    if (latency_spread > 0.0) {
      nic.latency = nic.latency * drawn_factor(job, worker, DrawnOfNic::kLatency, latency_spread);
    }
  }
  for_each_named("--slowdown", options.slowdown, "worker=factor, as 3=2.5", job.workers.size(),
                 [&](std::size_t worker, const std::string& typed) {
                   job.workers[worker].slowdown = real_number("--slowdown", typed, 1e-6, 1e6);
                 });
  for_each_named("--bandwidth-of", options.bandwidth_of, "worker=bandwidth, as 3=10Mb/s", job.workers.size(),
                 [&](std::size_t worker, const std::string& typed) {
                   job.workers[worker].nic.bandwidth = typed_quantity("--bandwidth-of", typed, parse_bytes_per_second);
                 });
  for_each_named("--latency-of", options.latency_of, "worker=latency, as 3=80ms", job.workers.size(),
                 [&](std::size_t worker, const std::string& typed) {
                   job.workers[worker].nic.latency = typed_quantity("--latency-of", typed, parse_seconds);
                 });
}

}  // namespace trainyard
