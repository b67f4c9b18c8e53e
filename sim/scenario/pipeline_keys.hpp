#pragma once
// The scenario's keys about the pipeline: layout.layers_per_stage, layout.embedding, layout.loss, training.schedule,
// training.micro_batch_group.
#include <cstdint>
#include <optional>
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

void read_stage_contents(const JsonReader& layout_json, Parallelism& layout);

// A schedule's name, or the file of a schedule table (with a `.` or a `/` in its name). Without either it is
// interleaved or 1f1b, by the number of chunks.
void read_schedule(const JsonReader& training_json, const Parallelism& layout, Training& training);

// Chunks per stage where the scenario does not say.
std::int64_t default_chunks(const Training& training);

// The schedule as the scenario names it.
std::string schedule_text(const Training& training);

// A step as micro-batches.
struct BatchSplit {
  std::int64_t global_batch = 1;
  std::int64_t micro_batch = 1;
  std::int64_t dp = 1;
  std::int64_t pp = 1;
  ScheduleName schedule = ScheduleName::kOneFOneB;
  std::int64_t micro_batch_group = 0;  // as Training's
};
// Why a step cannot be split so, whatever else the scenario says; nothing where it can. The fault names no file.
std::optional<Fault> refused_batch(const BatchSplit& split);
BatchSplit batch_split(const Scenario& scenario);

// The schedule where the scenario names none.
ScheduleName default_schedule(std::int64_t chunks);

// Throws UserError when stages, chunks, layers or micro-batches do not suit the schedule.
void check_pipeline(const Scenario& scenario, const std::string& file);

// Adds what was asked of the pipeline to a resolved document.
void echo_pipeline(const Scenario& scenario, Json& document);

}  // namespace trainyard
