#pragma once
// The scenario's keys about the pipeline: layout.layers_per_stage, layout.embedding, layout.loss, training.schedule,
// training.micro_batch_group.
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

// Throws UserError when stages, chunks, layers or micro-batches do not suit the schedule.
void check_pipeline(const Scenario& scenario, const std::string& file);

// Adds what was asked of the pipeline to a resolved document.
void echo_pipeline(const Scenario& scenario, Json& document);

}  // namespace trainyard
