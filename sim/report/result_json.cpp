#include <fmt/format.h>

#include "sim/report/report.hpp"

namespace trainyard {

namespace {

// Of the uses that a rank has in its host's memory.
Json host_terms(const StageMemory& stage) {
  Json terms = Json::object();
  for (const auto& [name, use] : kMemoryUseNames.rows) {
    if (stage.host[use] > Bytes{}) {
      terms[std::string(name)] = stage.host[use].value;
    }
  }
  return terms;
}

Json updates_json(const UpdateSummary& updates) {
  return {{"workers", updates.workers},
          {"updates_per_s", updates.updates_per_second},
          {"mean_staleness", updates.mean_staleness},
          {"staleness_histogram", updates.staleness},
          {"mean_staleness_of_workers", updates.mean_staleness_of},
          {"dropped", updates.dropped},
          {"busiest_server_fraction", updates.busiest_server},
          {"sent_bytes_per_iteration", updates.sent.value}};
}

}  // namespace

Json memory_json(const MemoryEstimate& memory) {
  Json stages = Json::array();
  for (const StageMemory& stage : memory.stages) {
    Json terms = Json::object();
    for (const auto& [name, use] : kMemoryUseNames.rows) {
      terms[std::string(name)] = stage.uses[use].value;
    }
    stages.push_back({{"total_bytes", stage.total.value},
                      {"terms_bytes", std::move(terms)},
                      {"peak_time_s", stage.at ? Json(stage.at->value) : Json(nullptr)}});
    if (stage.capacity != memory.capacity) {
      stages.back()["capacity_bytes"] = stage.capacity.value;
    }
    if (memory.host_peak > Bytes{}) {
      stages.back()["host_terms_bytes"] = host_terms(stage);
    }
  }
  Json out = {{"peak_bytes", memory.peak.value},
              {"capacity_bytes", memory.capacity.value},
              {"fits", memory.fits()},
              {"spare_bytes", (memory.capacity - memory.peak).value},
              {"per_stage", std::move(stages)}};
  if (memory.host_peak > Bytes{}) {
    const bool known = memory.host_capacity > Bytes{};
    out["host"] = {{"peak_bytes_per_node", memory.host_peak.value},
                   {"capacity_bytes_per_node", known ? Json(memory.host_capacity.value) : Json(nullptr)},
                   {"fits", memory.fits_host()}};
  }
  return out;
}

Json result_json(const Scenario& scenario, const Report& report, const Uncertainty& uncertainty, Seconds wall) {
  Json breakdown = Json::object();
  for (const Breakdown::Part& part : report.breakdown.parts()) {
    breakdown[std::string(part.name)] = part.time.value;
  }
  Json path = Json::array();
  for (const CriticalPart& part : report.critical_path) {
    path.push_back({{"rank_class", part.rank_class},
                    {"operation", part.operation},
                    {"time_s", part.time.value},
                    {"count", part.count}});
  }
  Json links = Json::array();
  for (const LinkUse& link : report.links) {
    links.push_back({{"name", link.name},
                     {"count", link.count},
                     {"bytes", link.bytes.value},
                     {"busy_fraction", link.bytes / link.bandwidth / report.step}});
  }
  Json out;
  out["step_time_s"] = report.step.value;
  out["tokens_per_s"] = report.tokens_per_second;
  out["tokens_per_s_per_gpu"] = report.tokens_per_second / static_cast<double>(scenario.gpus);
  out["samples_per_s"] = report.samples_per_second;
  out["model_tflops_per_gpu"] = report.model_flops_per_gpu.value / 1e12;
  out["mfu"] = report.mfu;
  out["hfu"] = report.hfu;
  out["breakdown_s"] = std::move(breakdown);
  if (report.input) {
    out["input"] = input_use_json(*report.input);
  }
  out["memory"] = memory_json(report.memory);
  if (report.updates) {
    out["updates"] = updates_json(*report.updates);
  }
  out["uncertainty"] = to_json(uncertainty);
  out["critical_path"] = std::move(path);
  out["links"] = std::move(links);
  out["sim"] = {{"wall_s", wall.value},
                {"events", report.events},
                {"ranks", report.ranks},
                {"ranks_simulated", report.ranks_simulated},
                {"flows", report.flows},
                {"micro_batches_simulated", report.micro_batches_simulated},
                {"micro_batches", report.micro_batches},
                {"flows_simulated", report.flows_simulated},
                {"links", report.links_used},
                {"links_simulated", report.links_simulated},
                {"network", kNetworkNames.name_of(scenario.network)},
                {"fold", scenario.fold == Fold::kOn}};
  out["notes"] = scenario.notes;
  for (const std::string& note : report.notes) {
    out["notes"].push_back(note);
  }
  out["scenario"] = scenario.resolved;
  return out;
}

}  // namespace trainyard
