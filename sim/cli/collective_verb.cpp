#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>

#include "sim/base/effort.hpp"
#include "sim/base/files.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/collectives/collective_table.hpp"
#include "sim/collectives/group_table.hpp"

namespace trainyard {
namespace {

constexpr int kMostChannels = 64;

struct CollectiveVerbOptions {
  std::string op = "all_reduce";
  ClusterOption cluster;
  std::string gpus;
  std::string sizes = "8:16G";
  std::string nccl_version;
  std::string algorithm;
  std::string protocol;
  std::string channels;
  std::string plot;
  std::string counts;
  std::string group;
  bool all = false;
  JsonOutput json;
};

CollectiveOptions forced(const CollectiveVerbOptions& options) {
  CollectiveOptions out{.nccl_version = options.nccl_version};
  if (!options.algorithm.empty()) {
    out.algorithm = named_choice("--algorithm", options.algorithm, kAlgorithmNames);
  }
  if (!options.protocol.empty()) {
    out.protocol = named_choice("--protocol", options.protocol, kProtocolNames);
  }
  if (!options.channels.empty()) {
    out.channels = whole_number("--channels", options.channels, 1, kMostChannels);
  }
  return out;
}

[[noreturn]] void reject_counts(const CollectiveVerbOptions& options) {
  throw UserError({.file = "--counts",
                   .found = options.op,
                   .allowed = "all_to_all_v",
                   .problem = "only an all-to-all-v has unequal counts",
                   .remedy = "add --op all_to_all_v"});
}

void show_group(const CollectiveVerbOptions& options) {
  const CollectiveOptions choices = forced(options);
  const int gpus = whole_number("--gpus", options.gpus, 2, kMostGpus);
  const ClusterSpec cluster = options.cluster.choose();
  options.json.check();
  const GroupTable table = group_table(parse_group(options.group, gpus), cluster, gpus, choices);
  if (!options.json.to_stdout()) {
    print_text("{}", table.text);
  }
  options.json.write(table.json);
}

// What a group says call by call, or has no table for.
constexpr std::array<const char*, 5> kNotOfGroups = {"--op", "--sizes", "--counts", "--all", "--plot"};

void show_collective(const CollectiveVerbOptions& options, const CLI::App& verb) {
  if (verb.get_option("--group")->count() > 0) {
    for (const char* name : kNotOfGroups) {
      if (verb.get_option(name)->count() > 0) {
        throw UserError({.file = name,
                         .found = "beside --group " + options.group,
                         .allowed = "--group alone: its calls name their operations and sizes",
                         .problem = "a group has no use for this option",
                         .remedy = fmt::format("leave out {} or --group", name)});
      }
    }
    show_group(options);
    return;
  }
  const CollectiveOp op = named_choice("--op", options.op, kCollectiveOpNames);
  const std::vector<Bytes> sizes = parse_sizes(options.sizes);
  const CollectiveOptions choices = forced(options);
  const int gpus = whole_number("--gpus", options.gpus, 1, kMostGpus);
  if (!options.counts.empty() && op != CollectiveOp::kAllToAllV) {
    reject_counts(options);
  }
  const ExchangeWeights weights = options.counts.empty() ? ExchangeWeights() : read_exchange(options.counts, gpus);
  if (!options.counts.empty()) {
    constexpr double kEventsOfPair = 2.0;  // of one size
    const double pairs = static_cast<double>(gpus) * static_cast<double>(gpus);
    require_effort({.events = pairs * kEventsOfPair * static_cast<double>(sizes.size())},
                   {.file = "--sizes", .remedy = "ask for fewer sizes, or for fewer GPUs"});
  }
  const ClusterSpec cluster = options.cluster.choose();
  check_outputs({options.json.option(), {"--plot", options.plot}});
  const CollectiveSweep sweep = collective_sweep(op, cluster, gpus, sizes, choices,
                                                 options.all ? Candidates::kAll : Candidates::kChosen, weights);
  if (!options.plot.empty()) {
    write_file(options.plot, draw_sweep(sweep));
  }
  if (!options.json.to_stdout()) {
    print_text("{}", sweep.text);
  }
  options.json.write(sweep.json);
}

}  // namespace

void add_collective_verb(CLI::App& app) {
  auto options = std::make_shared<CollectiveVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("collective", "time and bandwidth of a collective over sizes, as nccl-tests prints");
  verb->add_option("--op", options->op, "all_reduce (default), all_gather, reduce_scatter, ...");
  options->cluster.add_to(*verb);
  verb->get_option("--cluster")->required();
  verb->add_option("--gpus", options->gpus, "number of GPUs")->required();
  verb->add_option("--sizes", options->sizes, "one size or a range that doubles (default 8:16G)");
  verb->add_option("--counts", options->counts,
                   "of an all_to_all_v: even, zipf:S, a share for each receiver (3,1,...), or a CSV table");
  verb->add_option("--group", options->group,
                   "calls launched together instead of a sweep: all_reduce:1M,all_gather:4M,sendrecv:64K:0-7");
  verb->add_option("--nccl-version", options->nccl_version, "instead of the one of the cluster's profile");
  verb->add_option("--algorithm", options->algorithm, "force one (list algorithms)");
  verb->add_option("--protocol", options->protocol, "force LL, LL128 or Simple");
  verb->add_option("--channels", options->channels, "force a number of channels");
  verb->add_flag("--all", options->all,
                 "every candidate with what the library's tuner expects of it, the chosen one marked");
  verb->add_option("--plot", options->plot, "draw bus bandwidth over size (SVG)");
  options->json.add_to(*verb);
  add_effort_option(*verb);
  verb->callback([options, verb] { show_collective(*options, *verb); });
}

}  // namespace trainyard
