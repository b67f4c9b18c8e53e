#include "validation/bench/bench_cases.hpp"

#include <fmt/format.h>

#include <iterator>
#include <sstream>

namespace trainyard {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

const std::string kMain =
    "run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 1024 --tp 8 --pp 8 --micro-batch 1 --global-batch "
    "1536";

std::string llama(int gpus) {
  const int replicas = gpus / 128;
  return fmt::format(
      "run --allow-oom --model llama-3-405b --cluster dgx-h100 --gpus {} --tp 8 --pp 16 --micro-batch 1 --global-batch "
      "{}",
      gpus, 16 * replicas);
}

}  // namespace

std::vector<BenchCase> bench_cases() {
  return {
      {"main_1024_gpus", words(kMain), 0.3, 150.0},
      {"main_1024_gpus_analytic", words(kMain + " --network analytic")},
      {"main_1024_gpus_simgrid", simgrid_command(), 2.0},
      {"llama_405b_16384_gpus", words(llama(16384)), 1.0, 300.0},
      {"llama_405b_131072_gpus", words(llama(131072)), 5.0, 1000.0},
      {"deepseek_v3_2048_gpus_unequal_experts",
       words("run --allow-oom --model deepseek-v3 --cluster dgx-h100 --gpus 2048 --pp 16 --ep 64 --micro-batch 1 "
             "--global-batch 4096 --set training.experts={\"routing\":{\"zipf\":0.5}}"),
       3.0, 1000.0},
      {"all_reduce_1024_gpus", words("collective --cluster dgx-h100 --gpus 1024 --sizes 1G"), 0.1, 100.0},
      {"all_reduce_4096_gpus", words("collective --cluster dgx-h100 --gpus 4096 --sizes 1G")},
      {"all_reduce_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G"), 5.0},
      {"ring_all_reduce_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G --algorithm ring")},
      {"all_to_all_16384_gpus", words("collective --cluster dgx-h100 --gpus 16384 --sizes 1G --op all_to_all")},
      {"all_reduce_sweep_64_gpus", words("collective --cluster dgx-h100 --gpus 64 --sizes 8:16G"), 1.0},
      {"search_1024_gpus", words("search --model gpt3-175b --cluster dgx-a100 --gpus 1024 --global-batch 1536"), 15.0,
       1000.0},
      {"memory_1024_gpus", words("memory" + kMain.substr(std::string("run --allow-oom").size())), 0.005, 50.0},
      {"help", words("--help"), 0.03, 0.0},
      {"micro_batches_64", words("run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 8 "
                                 "--micro-batch 1 --global-batch 64")},
      {"micro_batches_1024", words("run --allow-oom --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 8 "
                                   "--micro-batch 1 --global-batch 1024")},
      {"main_1024_gpus_unfolded", unfolded_command(), 8.0, 800.0},
      {"llama_405b_16384_gpus_jitter", words(llama(16384) + " --set variation.kernel_jitter=0.015"), 30.0, 1200.0},
      {"llama_405b_131072_gpus_straggler",
       words(llama(131072) + " --set variation.stragglers=[{\"ranks\":8,\"slowdown\":1.2}]"), 20.0}};
}

std::vector<std::string> growth_command(int gpus) {
  return words(fmt::format(
      "run --allow-oom --model megatron-1.7b --cluster dgx-h100 --gpus {} --tp 8 --micro-batch 1 --global-batch {}",
      gpus, gpus));
}

std::vector<std::string> unfolded_command() {
  return words(kMain + " --fold off");
}

std::vector<std::string> simgrid_command() {
  return words(kMain + " --network simgrid");
}

std::vector<std::string> screening_command() {
  return words("search --model gpt3-175b --cluster dgx-a100 --gpus 1024 --global-batch 1536 --simulate 0");
}

}  // namespace trainyard
