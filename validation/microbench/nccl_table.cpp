#include "validation/microbench/nccl_table.hpp"

#include <fmt/format.h>

#include "sim/collectives/collective_table.hpp"

namespace trainyard {
namespace {

bool reduces(CollectiveOp op) {
  return op == CollectiveOp::kAllReduce || op == CollectiveOp::kReduceScatter || op == CollectiveOp::kReduce;
}

// nccl-tests names its programs after the operation.
std::string program_of(CollectiveOp op) {
  return op == CollectiveOp::kAllToAll ? "alltoall_perf" : fmt::format("{}_perf", kCollectiveOpNames.name_of(op));
}

struct Rates {
  double algorithm = 0.0;
  double bus = 0.0;
};

Rates rates_of(const NcclTestRun& run, Bytes size, Seconds time) {
  const double rate = time.value > 0.0 ? size.value / time.value / 1e9 : 0.0;
  return {rate, rate * bus_factor(run.op, static_cast<int>(run.ranks.size()))};
}

std::string half_line(const NcclTestRun& run, const NcclTestTime& row, Seconds time) {
  const Rates rates = rates_of(run, row.size, time);
  return fmt::format(" {:>8.2f} {:>7.2f} {:>7.2f} {:>6}", time.value * 1e6, rates.algorithm, rates.bus, row.wrong);
}

}  // namespace

std::string nccl_test_header(const NcclTestRun& run, int nccl_version) {
  std::string text = fmt::format("# Collective test starting: {}\n", program_of(run.op));
  text += fmt::format("# NCCL version {}.{}.{}\n", nccl_version / 10000, nccl_version / 100 % 100, nccl_version % 100);
  if (!run.note.empty()) {
    text += fmt::format("# {}\n", run.note);
  }
  text += "# Using devices\n";
  for (std::size_t i = 0; i < run.ranks.size(); ++i) {
    const NcclTestRank& rank = run.ranks[i];
    text += fmt::format("#  Rank {:>2} Group  0 Pid {:>6} on {:>10} device {:>2} {}\n", i, rank.process, rank.host,
                        rank.device, rank.gpu);
  }
  text += fmt::format("#\n# {:>57} {:>44}\n", "out-of-place", "in-place");
  const std::string columns = fmt::format(" {:>8} {:>7} {:>7} {:>6}", "time", "algbw", "busbw", "#wrong");
  text += fmt::format("# {:>10} {:>12} {:>8} {:>7} {:>7}{}{}\n", "size", "count", "type", "redop", "root", columns,
                      columns);
  const std::string units = fmt::format(" {:>8} {:>7} {:>7} {:>6}", "(us)", "(GB/s)", "(GB/s)", "");
  return text + fmt::format("# {:>10} {:>12} {:>8} {:>7} {:>7}{}{}\n", "(B)", "(elements)", "", "", "", units, units);
}

std::string nccl_test_line(const NcclTestRun& run, const NcclTestTime& row) {
  const std::string none = fmt::format(" {:>8} {:>7} {:>7} {:>6}", "N/A", "N/A", "N/A", "N/A");
  return fmt::format("{:>12.0f} {:>12.0f} {:>8} {:>7} {:>7}{}{}\n", row.size.value,
                     row.size.value / static_cast<double>(run.type_bytes), run.type, reduces(run.op) ? "sum" : "none",
                     run.root, half_line(run, row, row.out_of_place),
                     row.in_place ? half_line(run, row, *row.in_place) : none);
}

std::string nccl_test_footer(const NcclTestRun& run, const std::vector<NcclTestTime>& times) {
  double sum = 0.0;
  double count = 0.0;
  std::int64_t wrong = 0;
  for (const NcclTestTime& row : times) {
    sum += rates_of(run, row.size, row.out_of_place).bus;
    count += 1.0;
    wrong += row.wrong;
    if (row.in_place) {
      sum += rates_of(run, row.size, *row.in_place).bus;
      count += 1.0;
    }
  }
  return fmt::format("# Out of bounds values : {} {}\n# Avg bus bandwidth    : {:.6g}\n#\n", wrong,
                     wrong == 0 ? "OK" : "FAILED", count > 0.0 ? sum / count : 0.0);
}

}  // namespace trainyard
