#include "sim/cli/scenario_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"

namespace trainyard {
namespace {

struct Flag {
  const char* flag;
  const char* path;
  const char* help;
};

constexpr auto kFlags = std::to_array<Flag>({
    {"--model", "model", "catalogue name, catalogue JSON or Hugging Face config.json"},
    {"--cluster", "cluster", "catalogue name, cluster JSON, nvidia-smi topo -m text or NCCL topology XML"},
    {"--like", "like", "of a topology: the cluster that it is most like, for what it leaves out"},
    {"--gpu", "gpu", "GPU of the catalogue, instead of the cluster's own"},
    {"--gpus", "gpus", "number of GPUs"},
    {"--tp", "layout.tp", "tensor-parallel ranks"},
    {"--pp", "layout.pp", "pipeline stages"},
    {"--vpp", "layout.vpp", "model chunks per stage"},
    {"--cp", "layout.cp", "context-parallel ranks"},
    {"--cp-type", "layout.cp_type", "ring, all_gather, ulysses or hierarchical"},
    {"--ep", "layout.ep", "expert-parallel ranks"},
    {"--etp", "layout.etp", "tensor-parallel ranks within an expert (default: tp)"},
    {"--tp-overlap", "layout.tp_overlap", "true: tensor-parallel collectives in chunks beside their GEMMs"},
    {"--ep-overlap", "layout.ep_overlap", "true: exchanges with experts beside the passes of another micro-batch"},
    {"--dp", "layout.dp", "data-parallel replicas (default: what remains)"},
    {"--sequence-parallel", "layout.sequence_parallel", "true or false"},
    {"--order", "layout.order", "rank order, fastest first (default tp-cp-ep-dp-pp)"},
    {"--seq-len", "training.seq_len", "tokens per sequence"},
    {"--document-len", "training.document_len", "tokens of the documents that are packed into a sequence"},
    {"--micro-batch", "training.micro_batch", "sequences per micro-batch"},
    {"--global-batch", "training.global_batch", "sequences per step"},
    {"--precision", "training.precision", "fp32, tf32, fp16, bf16, fp8, fp8_block, mxfp8, fp4, nvfp4"},
    {"--grad-dtype", "training.grad_dtype", "format of the gradient buffer"},
    {"--optimizer", "training.optimizer",
     "adam, adamw, sgd (with momentum), plain-sgd, lamb, lars, lion, ... (sim/scenario/README.md)"},
    {"--recompute", "training.recompute", "none, selective or full"},
    {"--recompute-method", "training.recompute_method", "full recomputation: uniform or block"},
    {"--recompute-layers", "training.recompute_layers", "layers of a group (uniform) or of a chunk (block)"},
    {"--recompute-modules", "training.recompute_modules", "selective recomputation: modules, with commas"},
    {"--zero", "training.zero_stage", "ZeRO stage"},
    {"--data-parallel", "training.data_parallel.strategy", "ddp, megatron, deepspeed, fsdp or hsdp"},
    {"--sync", "training.strategy.sync",
     "replicas meet over many updates: synchronous, asynchronous, local-steps, ..."},
    {"--servers", "training.strategy.servers", "parameter servers on the nodes of workers 0, 1, ..."},
    {"--dedicated-servers", "training.strategy.dedicated_servers", "parameter servers on nodes of their own"},
    {"--hsdp-shard", "layout.hsdp_shard", "ranks that share out a copy of the model in hybrid sharding"},
    {"--schedule", "training.schedule", "pipeline schedule"},
    {"--collective-algorithm", "training.collective_algorithm",
     "forced where it does the operation, as NCCL_ALGO (list algorithms)"},
    {"--framework", "framework", "framework profile, or the file of one"},
    {"--network", "network", "flow (simulated), simgrid (the same by SimGrid) or analytic (longest path)"},
});

// Whether setting `later` leaves nothing of what was set at `earlier`: the same key, or one that holds it.
bool replaces(std::string_view later, std::string_view earlier) {
  return earlier.starts_with(later) && (earlier.size() == later.size() || earlier[later.size()] == '.');
}

}  // namespace

Assignment assignment_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw UserError({.file = "--set", .found = text, .allowed = "key.path=value", .problem = "not an assignment"});
  }
  return {.flag = "--set", .path = text.substr(0, equals), .value = text.substr(equals + 1), .typed = text};
}

void assign(Json& document, const std::vector<Assignment>& assignments) {
  constexpr std::size_t kMostAssignments = 1000;  // more than there are keys
  if (assignments.size() > kMostAssignments) {
    throw UserError({.file = "--set",
                     .found = fmt::format("{} assignments", assignments.size()),
                     .allowed = fmt::format("{}", kMostAssignments),
                     .problem = "too many keys on the command line",
                     .remedy = "write them into a scenario file"});
  }
  for (std::size_t i = 0; i < assignments.size(); ++i) {
    const Assignment& one = assignments[i];
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (replaces(one.path, assignments[earlier].path)) {
        throw UserError({.file = one.flag,
                         .pointer = one.path,
                         .found = fmt::format("{}, after {} of {}", one.value, assignments[earlier].value,
                                              assignments[earlier].flag),
                         .allowed = "one value for a key",
                         .problem = "the command line sets a key twice",
                         .remedy = "leave one of them out"});
      }
    }
    set_key(document, fmt::format("{}={}", one.path, one.value));
  }
}

Fault name_flag(Fault fault, const std::vector<Assignment>& assignments) {
  for (const Assignment& given : assignments) {
    std::string pointer = "/" + given.path;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    const bool is_inside = fault.pointer.starts_with(pointer) &&
                           (fault.pointer.size() == pointer.size() || fault.pointer[pointer.size()] == '/');
    if (is_inside) {
      fault.file = given.flag;
    }
  }
  return fault;
}

void ScenarioOptions::add_flag_for(CLI::App& verb, const std::string& flag, const std::string& path,
                                   const std::string& help) {
  verb.add_option_function<std::string>(
      flag,
      [this, flag, path](const std::string& value) {
        flags_.push_back({flag, path, value, value});
      },
      help);
}

void ScenarioOptions::add_to(CLI::App& verb) {
  verb.add_option("scenario", file_, "scenario.json");
  for (const Flag& flag : kFlags) {
    add_flag_for(verb, flag.flag, flag.path, flag.help);
  }
  verb.add_option_function<std::string>(
      "--fold",
      [this](const std::string& value) {
        flags_.push_back({"--fold", "fold", value == "on" ? "true" : value == "off" ? "false" : value, value});
      },
      "on (default) or off: simulate every rank");
  add_flag_for(verb, "--seed", "seed", "seed of random choices");
  verb.add_option("--set", sets_, "key.path=value in the scenario");
  add_effort_option(verb);
}

std::vector<Assignment> ScenarioOptions::assignments() const {
  std::vector<Assignment> all = flags_;
  for (const std::string& text : sets_) {
    all.push_back(assignment_of(text));
  }
  return all;
}

ScenarioOptions::Asked ScenarioOptions::asked() const {
  Asked asked{.document = Json::object(), .file = "command line"};
  if (!file_.empty()) {
    asked = {.document = read_json_file(file_), .file = file_};
  }
  assign(asked.document, assignments());
  if (file_.empty() && !asked.document.contains("model")) {
    throw UserError({.file = "command line",
                     .found = "no --model",
                     .allowed = "--model M --cluster C --gpus N with options, or a scenario file",
                     .problem = "say what to train, and on what",
                     .remedy = "trainyard list models and trainyard list clusters show names; README.md has examples"});
  }
  for (const char* key : {"cluster", "gpus"}) {
    if (file_.empty() && !asked.document.contains(key)) {
      throw UserError({.file = "command line",
                       .found = fmt::format("no --{}", key),
                       .allowed = "--model M --cluster C --gpus N with options, or a scenario file",
                       .problem = "say on what to train",
                       .remedy = "trainyard list clusters shows names"});
    }
  }
  return asked;
}

Scenario ScenarioOptions::read() const {
  return read(asked());
}

Scenario ScenarioOptions::read(const Asked& asked) const {
  try {
    Scenario scenario = read_scenario(asked.document, asked.file);
    print_notes(scenario.cluster);
    return scenario;
  } catch (const UserError& error) {
    throw named(error);
  }
}

UserError ScenarioOptions::named(const UserError& error) const {
  return UserError(name_flag(error.fault(), assignments()), error.code());
}

namespace {

// A word as a shell takes it.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+%@";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string out = "'";
  for (const char c : word) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

}  // namespace

std::string ScenarioOptions::words(const std::vector<KeyValue>& more) const {
  std::vector<std::string> words;
  if (!file_.empty()) {
    words.push_back(quoted(file_));
  }
  for (const Assignment& given : flags_) {
    words.push_back(given.flag + " " + quoted(given.typed));
  }
  for (const std::string& assignment : sets_) {
    words.push_back("--set " + quoted(assignment));
  }
  for (const KeyValue& key : more) {
    const auto* flag =
        std::find_if(kFlags.begin(), kFlags.end(), [&](const Flag& one) { return one.path == key.path; });
    words.push_back(flag != kFlags.end() ? std::string(flag->flag) + " " + quoted(plain_text(key.value))
                                         : "--set " + quoted(key.path + "=" + plain_text(key.value)));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

void ScenarioOptions::note_unused(std::initializer_list<std::string_view> flags, std::string_view why) const {
  for (const Assignment& given : flags_) {
    if (std::find(flags.begin(), flags.end(), given.flag) != flags.end()) {
      print_note(fmt::format("trainyard: {} changes nothing here: {}\n", given.flag, why));
    }
  }
}

}  // namespace trainyard
