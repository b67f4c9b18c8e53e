// What `converge --help` lists.
#include "sim/cli/converge_options.hpp"
#include "sim/updates/data_sizes.hpp"

namespace trainyard {

void ConvergeOptions::add_to(CLI::App& verb) {
  verb.add_option("--workers", workers, "number of workers")->required();
  verb.add_option("--servers", servers, "parameter servers on the nodes of workers 0, 1, ...");
  verb.add_option("--dedicated-servers", dedicated_servers,
                  "parameter servers on nodes of their own (default: 1, without --servers)");
  verb.add_option(
      "--sync", sync,
      "modes to compare, with commas: " + join_names(kSynchronisationNames.names()) + " (default: " + sync + ")");
  verb.add_option("--bound", bound, "stale-synchronous: most iterations ahead of the slowest (default 2)");
  verb.add_option("--backup", backup, "backup-workers: how many gradients of a step are not waited for (default 1)");
  verb.add_option("--local-steps", local_steps,
                  "local-steps, post-local, diloco, federated: a worker's iterations of its own (default 8)");
  verb.add_option("--switch-at", switch_at, "post-local: updates before steps become local (default: half of all)");
  verb.add_option("--inner-optimizer", inner_optimizer, "diloco: of a worker's own steps (default adamw)");
  verb.add_option("--inner-rate", inner_rate, "diloco: its learning rate (default: --learning-rate)");
  verb.add_option("--outer-rate", outer_rate, "diloco: of Nesterov's steps along the mean change (default 0.7)");
  verb.add_option("--outer-momentum", outer_momentum, "diloco: their momentum (default 0.9)");
  verb.add_option("--client-share", client_share, "federated: share of the workers in a round (default 0.1)");
  verb.add_option("--dropout", dropout, "federated: chance that one of them never answers (default 0)");
  verb.add_option("--data-sizes", data_sizes,
                  "federated: samples of a client: " + join_names(kDataSizesNames.names()) + " (default equal)");
  verb.add_option("--secure-aggregation", secure_aggregation,
                  "federated: hide all but the sum by masks, made at such a rate, as \"1 GB/s\"");
  verb.add_option("--clip", clip, "differential privacy: the norm that gradients of single samples are cut to");
  verb.add_option("--noise-multiplier", noise_multiplier,
                  "differential privacy: standard deviation of the noise on their sum, of that norm (default 0)");
  verb.add_option("--graph", graph,
                  "gossip: " + join_names(kGraphNames.names()) + " (default ring), or edges as 0-1,1-2");
  verb.add_option(
      "--sharding", sharding,
      "what servers keep: " + join_names(kShardingNames.names()) + " (default even: a part of every layer)");
  verb.add_option("--push", push, "whole (default), or layer: each when the backward pass has made its gradient");
  verb.add_option("--layers", layers, "shares of the parameters from input to output, as 0.3,0.7");
  verb.add_option("--server-memory", server_memory,
                  "what servers add up and apply at, as \"200 GB/s\" (default), or free");
  verb.add_option("--compress", compress,
                  "what is pushed: " + join_names(kCompressorNames.names()) + " (default none)");
  verb.add_option("--keep", keep, "top-k, random-k: share of the values; threshold: expected share (default 0.01)");
  verb.add_option("--threshold", threshold, "threshold: magnitudes below are left out");
  verb.add_option("--bits", bits, "qsgd: of a value, with its sign (default 4)");
  verb.add_option("--bucket", bucket, "qsgd: values that share a norm (default 512)");
  verb.add_option("--rank", rank, "powersgd: columns of its factors (default 2)");
  verb.add_option("--warm-up", warm_up, "one-bit-adam: updates before it compresses (default 20)");
  verb.add_option("--error-feedback", error_feedback,
                  "on or off (default: on for top-k, random-k, threshold and powersgd)");
  verb.add_option("--gpu", gpu, "whose kernels compress and clip, or free (default: that of --cluster)");
  verb.add_option("--updates", updates, "iterations of a worker, on average (default " + updates + ")");
  verb.add_option("--slowdown", slowdown, "slower workers, as 0=2,3=1.5");
  verb.add_option("--jitter", jitter, "standard deviation of an iteration's time, of its mean (default 0)");
  verb.add_option("--seed", seed, "seed of jitter, samples and noise (default 0)");
  verb.add_option("--compute", compute, "time of an iteration, as \"100 ms\"");
  verb.add_option("--parameters", parameters, "bytes that are pushed and pulled, as \"102 MB\"");
  verb.add_option("--bandwidth", bandwidth, "of every NIC each way, as \"10 Gb/s\"");
  verb.add_option("--latency", latency, "of a message (default 10 us)");
  verb.add_option("--bandwidth-spread", bandwidth_spread,
                  "of workers' NICs: standard deviation, of the mean (log-normal, from --seed; default 0)");
  verb.add_option("--latency-spread", latency_spread, "likewise, of latencies");
  verb.add_option("--bandwidth-of", bandwidth_of, "of single workers, as 0=10Mb/s,3=1Gb/s");
  verb.add_option("--latency-of", latency_of, "likewise, as 0=80ms");
  verb.add_option("--server-bandwidth", server_bandwidth,
                  "of servers on nodes of their own (default: as workers have before any spread)");
  verb.add_option("--model", model, "instead of these four: what a worker trains, on one GPU of --cluster");
  verb.add_option("--cluster", cluster, "whose GPU computes and whose network joins the workers");
  verb.add_option("--problem", problem, "what is optimised: quadratic (default), logistic or perceptron");
  verb.add_option("--condition", condition, "quadratic: its condition number (default 10)");
  verb.add_option("--noise", noise, "quadratic: standard deviation of a sample's gradient (default 1)");
  verb.add_option("--activation", activation, "perceptron: sigmoid (default) or relu");
  verb.add_option("--optimizer", optimizer, join_names(kUpdateRuleNames.names()) + " (default sgd)");
  verb.add_option("--learning-rate", learning_rate, "of every update (default " + learning_rate + ")");
  verb.add_option("--batch", batch, "samples of an iteration of a worker (default " + batch + ")");
  verb.add_option("--target", target, "a loss: when is it reached?");
  verb.add_option("--csv", csv, "write the curves as a table");
  verb.add_option("--plot", plot, "draw loss over simulated time (SVG)");
  json.add_to(verb);
  add_effort_option(verb);
}

}  // namespace trainyard
