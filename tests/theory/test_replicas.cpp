// "One node 500 s, two nodes 150 s": what replicas alone can bring.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <rapidcheck.h>

#include "sim/predict/answer.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_replicas {

namespace {

Seconds step(const std::string& model, const std::string& framework, int gpus, int micro_batches_of_one) {
  const int global_batch = 2 * micro_batches_of_one;
  const std::string job = fmt::format(R"({{"model": "{}", "cluster": "dgx-a100", "gpus": {}, "framework": "{}",
      "training": {{"micro_batch": 2, "global_batch": {}}}}})",
                                      model, gpus, framework, global_batch);
  return answer(read_scenario(parse_json(job, "job.json"), "job.json")).report.step;
}

}  // namespace

TEST_CASE("twice the replicas never more than halve a step of the same batch") {
  CHECK(rc::check([] {
    const auto model = *rc::gen::element<std::string>("resnet-18", "vgg-16", "gpt2", "bert-base");
    const auto framework = *rc::gen::element<std::string>("ddp", "horovod", "megatron-core");
    const int gpus = 1 << *rc::gen::inRange(0, 5);
    const int rounds = *rc::gen::inRange(1, 4);  // micro-batches of a replica when there are twice as many
    const Seconds before = step(model, framework, gpus, 2 * gpus * rounds);
    const Seconds after = step(model, framework, 2 * gpus, 2 * gpus * rounds);
    RC_ASSERT(after.value >= before.value / 2.0 * (1.0 - 1e-9));
  }));
}

}  // namespace test_replicas
