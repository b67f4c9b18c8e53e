// The input pipeline as a user meets it: keys on the command line, its line of the report, the knee that it makes.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_input_key {

using Document = nlohmann::json;

namespace {

const std::string kImages =
    "--model resnet-50 --cluster dgx-a100 --framework ddp --network analytic --micro-batch 64 --gpus 8 ";

}  // namespace

TEST_CASE("a starved job says what binds and what would do") {
  // 64 images of 5.63 ms each by one worker take 0.36 s, many times what an A100 needs for them.
  const std::string starved = "run " + kImages + "--global-batch 512 --set input.workers=1";
  const Outcome text = trainyard_line(starved);
  REQUIRE(text.code == 0);
  CHECK(text.out.find("\ninput         storage ") != std::string::npos);
  CHECK(text.out.find("decode binds: GPUs wait ") != std::string::npos);
  CHECK(text.out.find("they would not with workers ") != std::string::npos);
  const Outcome outcome = trainyard_line(starved + " --json -");
  const Document json = Document::parse(outcome.out);
  CHECK(json.at("step_time_s").get<double>() == doctest::Approx(64.0 * 5.63e-3));
  CHECK(json.at("input").at("binds") == "decode");
  CHECK(json.at("input").at("needs").at("workers").get<double>() > 1.0);
  CHECK(json.at("breakdown_s").at("input") == json.at("input").at("waited_s"));
  CHECK(json.at("scenario").at("input").at("workers") == 1);
  CHECK_FALSE(json.at("memory").at("host").at("peak_bytes_per_node") == 0.0);
  // Without the key there is no such line and nothing to say.
  const Outcome plain = trainyard_line("run " + kImages + "--global-batch 512 --json -");
  CHECK_FALSE(Document::parse(plain.out).contains("input"));
}

TEST_CASE("a store that all GPUs share is the reason of a knee") {
  // 64 x 115.4 kB a step and GPU: 150 MB/s take 49 ms for each, about as long as one GPU.
  const Outcome outcome = trainyard_line("scale " + kImages +
                                         "--global-batch 512 --scaling weak --json - --set "
                                         "'input={\"storage\":{\"kind\":\"memory\",\"bandwidth\":\"150MB/s\"}}'");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  const Document curve = Document::parse(outcome.out).at("curves").at(0);
  CHECK(curve.at("knee").at("reason") == "input");
}

}  // namespace test_input_key
