#include "sim/updates/rings.hpp"

#include <algorithm>
#include <limits>

#include "sim/updates/compressors/table.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// What it takes that everybody has the mean of what all have.
struct Exchange {
  Seconds time{};
  Bytes sent{};  // by each worker
};

// A ring: 2 (n - 1) steps of 1/n of the bytes, each with a message's latency; n - 1 of all of them where everybody gets
// everybody's. Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC
// 69(2), 2009.
Exchange exchange_of(const UpdateJob& job, int update) {
  const auto workers = static_cast<double>(job.workers.size());
  BytesPerSecond slowest{std::numeric_limits<double>::infinity()};
  Seconds latency{};
  for (const Worker& worker : job.workers) {
    slowest = min(slowest, worker.nic.bandwidth);
    latency = max(latency, worker.nic.latency);
  }
  const Bytes bytes = job.parameters * pushed_share(job, update);
  if (!is_compressed(job, update)) {
    return {2.0 * (workers - 1.0) * (bytes / workers / slowest + latency), bytes * (2.0 * (workers - 1.0) / workers)};
  }
  const MessageExchange kind = compressor_traits(job.compression.compressor).exchange;
  if (kind == MessageExchange::kAllGather) {
    return {(workers - 1.0) * (bytes / slowest + latency) + job.message.decode * workers, bytes * (workers - 1.0)};
  }
  const double rings = kind == MessageExchange::kTwoAllReduces ? 2.0 : 1.0;
  return {2.0 * (workers - 1.0) * (bytes / workers / slowest + rings * latency) + job.message.decode,
          bytes * (2.0 * (workers - 1.0) / workers)};
}

}  // namespace

UpdateTimes simulate_rounds(const UpdateJob& job, const std::vector<int>& rounds) {
  const int workers = static_cast<int>(job.workers.size());
  UpdateTimes out{.workers = std::vector<WorkerTimes>(job.workers.size())};
  Seconds encoding{};
  Seconds transferring{};
  Bytes moved{};
  int done = 0;
  for (const int steps : rounds) {
    Seconds longest{};
    for (int worker = 0; worker < workers; ++worker) {
      Seconds time{};
      for (int step = 0; step < steps; ++step) {
        time += compute_time(job, worker, done + step);
      }
      out.workers[static_cast<std::size_t>(worker)].computing += time;
      longest = max(longest, time);
    }
    done += steps;
    const Exchange exchange = exchange_of(job, out.versions);
    const Seconds encode = encode_time(job, out.versions);
    transferring += exchange.time;
    moved += exchange.sent;
    encoding += encode;
    out.total += longest + encode + exchange.time;
    for (int worker = 0; worker < workers; ++worker) {
      out.updates.push_back(
          {.time = out.total, .worker = worker, .read = out.versions, .applied = out.versions, .steps = steps});
    }
    ++out.versions;
  }
  out.sent.assign(job.workers.size(), moved);
  out.received = out.sent;
  for (WorkerTimes& one : out.workers) {
    one.computing += encoding;
    one.transferring = transferring;
    one.waiting = max(Seconds{}, out.total - one.computing - one.transferring);  // below by rounding
  }
  return out;
}

std::vector<int> equal_rounds(int steps, int each) {
  std::vector<int> out;
  for (int done = 0; done < steps; done += out.back()) {
    out.push_back(std::min(each, steps - done));
  }
  return out;
}

void check_all_reduce(const UpdateJob& /*job*/) {}

UpdateTimes simulate_all_reduce(const UpdateJob& job) {
  return simulate_rounds(job, equal_rounds(job.updates, 1));
}

double ring_events(const UpdateJob& job) {
  return static_cast<double>(job.workers.size()) * job.updates;
}

}  // namespace trainyard
