#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/updates/strategy.hpp"
#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_strategy {

namespace {

std::function<void(UpdateJob&)> federated(std::function<void(UpdateJob&)> spoil) {
  return [spoil = std::move(spoil)](UpdateJob& job) {
    job.mode = Synchronisation::kFederated;
    spoil(job);
  };
}

}  // namespace

TEST_CASE("what makes no sense is refused with the flag that gives it") {
  struct Mistake {
    std::string flag;
    std::string found;
    std::function<void(UpdateJob&)> make;
  };
  const std::vector<Mistake> mistakes = {
      {"--workers", "0", [](UpdateJob& job) { job.workers.clear(); }},
      {"--servers", "0", [](UpdateJob& job) { job.servers.clear(); }},
      {"--servers", "a server beside worker 4", [](UpdateJob& job) { job.servers[0].worker = 4; }},
      {"--updates", "0", [](UpdateJob& job) { job.updates = 0; }},
      {"--parameters", "0 B", [](UpdateJob& job) { job.parameters = {}; }},
      {"--bandwidth", "0 B/s", [](UpdateJob& job) { job.workers[1].nic.bandwidth = {}; }},
      {"--bandwidth", "0 B/s", [](UpdateJob& job) { job.servers[0].nic.bandwidth = {}; }},
      {"--slowdown", "0", [](UpdateJob& job) { job.workers[1].slowdown = 0.0; }},
      {"--jitter", "-0.1", [](UpdateJob& job) { job.jitter = -0.1; }},
      {"--backup", "4",
       [](UpdateJob& job) {
         job.mode = Synchronisation::kBackupWorkers;
         job.backup = 4;
       }},
      {"--bound", "-1",
       [](UpdateJob& job) {
         job.mode = Synchronisation::kStaleSynchronous;
         job.bound = -1;
       }},
      {"--local-steps", "0",
       [](UpdateJob& job) {
         job.mode = Synchronisation::kLocalSteps;
         job.local_steps = 0;
       }},
      {"--local-steps", "0",
       [](UpdateJob& job) {
         job.mode = Synchronisation::kDiloco;
         job.local_steps = 0;
       }},
      {"--switch-at", "-1",
       [](UpdateJob& job) {
         job.mode = Synchronisation::kPostLocal;
         job.switch_at = -1;
       }},
      {"--servers", "a server beside worker 2",
       federated([](UpdateJob& job) { job.servers.push_back({.worker = 2}); })},
      {"--servers", "unequal servers", federated([](UpdateJob& job) {
         job.servers.push_back({.nic = {{1e6}, {}}});
       })},
      {"--local-steps", "0", federated([](UpdateJob& job) { job.local_steps = 0; })},
      {"--client-share", "0", federated([](UpdateJob& job) { job.federation.share = 0.0; })},
      {"--client-share", "1.5", federated([](UpdateJob& job) { job.federation.share = 1.5; })},
      {"--dropout", "1", federated([](UpdateJob& job) { job.federation.dropout = 1.0; })},
      {"--secure-aggregation", "0 B/s", federated([](UpdateJob& job) { job.federation.mask_rate = BytesPerSecond{}; })},
      {"--compress", "top-k", federated([](UpdateJob& job) {
         job.federation.mask_rate = BytesPerSecond{1e9};
         job.compression.compressor = Compressor::kTopK;
       })},
      {"--data-sizes", "2 sizes", federated([](UpdateJob& job) {
         job.federation.data = {1.0, 1.0};
       })},
      {"--data-sizes", "0", federated([](UpdateJob& job) {
         job.federation.data = {1.0, 1.0, 0.0, 1.0};
       })},
      {"--graph", "no way from worker 0 to 1, 2, 3", [](UpdateJob& job) { job.mode = Synchronisation::kGossip; }}};
  UpdateJob sound = equal_workers(4, 10_ms, 1_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(sound, 1);
  CHECK_NOTHROW(check(sound));
  for (const Mistake& mistake : mistakes) {
    UpdateJob job = sound;
    mistake.make(job);
    CAPTURE(mistake.flag);
    try {
      check(job);
      FAIL_CHECK("it was taken");
    } catch (const UserError& error) {
      CHECK(error.fault().file == mistake.flag);
      CHECK(error.fault().found == mistake.found);
    }
  }
}

TEST_CASE("rings need no servers") {
  UpdateJob job = equal_workers(4, 10_ms, 1_MB, Synchronisation::kAllReduce);
  CHECK_NOTHROW(check(job));
}

}  // namespace test_strategy
