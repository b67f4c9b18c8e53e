#include "sim/studies/layout_choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario/pipeline_keys.hpp"
#include "sim/scenario/read_scenario.hpp"

namespace trainyard {

OpenJob::OpenJob(Json document, std::string file)
    : document_(std::move(document)), file_(std::move(file)), job_(read_job(document_, file_)) {}

bool OpenJob::states(std::string_view path) const {
  const Json* value = &document_;
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const auto found = value->find(path.substr(0, dot));
    if (found == value->end()) {
      return false;
    }
    value = &*found;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return true;
}

std::vector<KeyValue> OpenJob::keys_of(const LayoutChoice& choice) const {
  std::vector<KeyValue> keys = {{"layout.tp", choice.tp},
                                {"layout.pp", choice.pp},
                                {"layout.vpp", choice.vpp},
                                {"layout.cp", choice.cp},
                                {"layout.dp", choice.dp},
                                {"training.micro_batch", choice.micro_batch},
                                {"training.global_batch", job_.training.global_batch},
                                {"training.recompute", kRecomputeNames.name_of(choice.recompute)},
                                {"training.zero_stage", choice.zero_stage}};
  if (job_.model.experts) {
    keys.push_back({"layout.ep", choice.ep});
    keys.push_back({"layout.etp", choice.etp});
  }
  if (!choice.recompute_modules.empty()) {
    std::vector<std::string> names;
    for (const RecomputeModule module : choice.recompute_modules) {
      names.emplace_back(kRecomputeModuleNames.name_of(module));
    }
    keys.push_back({"training.recompute_modules", fmt::format("{}", fmt::join(names, ","))});
  }
  if (choice.embedding != EndPlacement::kWithLayers) {
    keys.push_back({"layout.embedding", kEndPlacementNames.name_of(choice.embedding)});
  }
  if (choice.loss != EndPlacement::kWithLayers) {
    keys.push_back({"layout.loss", kEndPlacementNames.name_of(choice.loss)});
  }
  std::erase_if(keys, [this](const KeyValue& key) { return states(key.path); });
  return keys;
}

Json OpenJob::document(const LayoutChoice& choice) const {
  Json document = document_;
  for (const KeyValue& key : keys_of(choice)) {
    const std::size_t dot = key.path.find('.');
    document[key.path.substr(0, dot)][key.path.substr(dot + 1)] = key.value;
  }
  return document;
}

std::optional<Fault> OpenJob::refused_batch(const LayoutChoice& choice) const {
  return trainyard::refused_batch(
      {.global_batch = job_.training.global_batch,
       .micro_batch = choice.micro_batch,
       .dp = choice.dp,
       .pp = choice.pp,
       .schedule = states("training.schedule") ? job_.training.schedule : default_schedule(choice.vpp),
       .micro_batch_group = job_.training.micro_batch_group});
}

Scenario OpenJob::laid_out(const LayoutChoice& choice) const {
  return lay_out(job_, document(choice), file_);
}

Scenario OpenJob::scenario(const LayoutChoice& choice) const {
  const Json chosen = document(choice);
  Scenario scenario = lay_out(job_, chosen, file_);
  describe(scenario, chosen, file_);
  return scenario;
}

}  // namespace trainyard
