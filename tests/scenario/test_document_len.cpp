#include <doctest/doctest.h>

#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_document_len {

TEST_CASE("packed documents are whole, of models that read tokens, and not shared out") {
  const auto read = [](const std::string& job) { read_scenario(parse_json(job, "job.json"), "job.json"); };
  CHECK_NOTHROW(read(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "training": {"document_len": 256}})"));
  for (
      const char* job :
      {R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "training": {"document_len": 100}})",
       R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "layout": {"cp": 2}, "training": {"document_len": 256}})",
       R"({"model": "t5-base", "cluster": "dgx-a100", "gpus": 8, "training": {"document_len": 256}})",
       R"({"model": "resnet-50", "cluster": "dgx-a100", "gpus": 8, "training": {"document_len": 1}})"}) {
    CAPTURE(job);
    CHECK_THROWS_WITH_AS(read(job), doctest::Contains("/training/document_len"), UserError);
  }
}

}  // namespace test_document_len
