// The converge verb, as a user runs it.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_converge_verb {

using Document = nlohmann::json;

namespace {

using doctest::Approx;

const std::string kWorkers = "converge --workers 4 --parameters 100MB --bandwidth 10Gb/s --latency 0s ";
const std::string kStated = kWorkers + "--compute 100ms --updates 20 ";
const std::string kFree = kStated + "--server-memory free ";  // of modes that have servers

Document answer_of(const std::string& line) {
  const Outcome outcome = trainyard_line(line + " --json -");
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

}  // namespace

TEST_CASE("every mode is a row of the answer") {
  // One server of 1.25 GB/s: 4 x 80 ms in and as much out; a ring moves 2 x 3/4 x 80 ms; five rounds of four steps.
  const Document answer = answer_of(kFree + "--sync synchronous,all-reduce,local-steps --local-steps 4");
  const Document& modes = answer.at("modes");
  REQUIRE(modes.size() == 3);
  CHECK(modes[0].at("time_s").get<double>() == Approx(20 * (0.1 + 0.64)));
  CHECK(modes[1].at("time_s").get<double>() == Approx(20 * (0.1 + 0.12)));
  CHECK(modes[2].at("time_s").get<double>() == Approx(20 * 0.1 + 5 * 0.12));
  CHECK(modes[0].at("loss").get<double>() == Approx(modes[1].at("loss").get<double>()).epsilon(1e-12));
  CHECK(modes[0].at("curve").size() == 21);
  CHECK(modes[0].at("curve")[0].contains("bound"));
  CHECK_FALSE(modes[2].at("curve")[0].contains("bound"));
  CHECK(answer.at("question").at("seed") == 0);
}

TEST_CASE("modes of local steps, clients and neighbours are rows of the answer") {
  // Rings of 120 ms: ten synchronous steps and two rounds of five; two rounds of ten. Neighbours: 2 x 80 ms each step.
  // One of four clients: pull and push of 80 ms each around ten steps.
  const Document answer = answer_of(kFree +
                                    "--sync post-local,diloco,gossip,federated --local-steps 10 --switch-at 10 "
                                    "--client-share 0.25 --inner-rate 0.01");
  const Document& modes = answer.at("modes");
  CHECK(modes[0].at("time_s").get<double>() == Approx(20 * 0.1 + 11 * 0.12));
  CHECK(modes[1].at("time_s").get<double>() == Approx(20 * 0.1 + 2 * 0.12));
  CHECK(modes[2].at("time_s").get<double>() == Approx(20 * (0.1 + 0.16)));
  CHECK(modes[3].at("time_s").get<double>() == Approx(20 * 0.1 + 2 * 0.16));
  CHECK(modes[3].at("gradients").get<int>() == 2);
  CHECK(answer.at("question").at("edges").size() == 4);
}

TEST_CASE("servers apply at the pace of their memory") {
  // Of 100 MB four sums of three passes and a step of Adam, which moves seven, at 10 GB/s; pushes end together.
  const Document answer = answer_of(kStated + "--sync synchronous --server-memory 10GB/s --optimizer adam");
  CHECK(answer.at("modes")[0].at("time_s").get<double>() == Approx(20 * (0.1 + 0.64 + 4 * 0.03 + 0.07)));
  CHECK(answer.at("question").at("server_memory_bytes_per_s").get<double>() == 1e10);
}

TEST_CASE("messages of a compressor are a part of the bytes, and the loss is that of what arrives") {
  // 25 M values of fp16: 50 MB round a ring of four.
  const Document half = answer_of(kStated + "--sync all-reduce --compress fp16 --gpu free");
  CHECK(half.at("modes")[0].at("time_s").get<double>() == Approx(20 * (0.1 + 0.06)));
  CHECK(half.at("question").at("compression").at("pushed_bytes").get<double>() == Approx(5e7).epsilon(1e-6));
  const Document plain = answer_of(kStated + "--sync all-reduce");
  CHECK(half.at("modes")[0].at("loss").get<double>() ==
        Approx(plain.at("modes")[0].at("loss").get<double>()).epsilon(0.01));
  const Document sparse = answer_of(kStated + "--sync all-reduce --compress top-k --keep 0.1 --gpu a100-80");
  CHECK(sparse.at("modes")[0].at("loss").get<double>() > plain.at("modes")[0].at("loss").get<double>());
  CHECK(sparse.at("modes")[0].at("sent_fraction").get<double>() == Approx(0.1));
  CHECK(sparse.at("question").at("compression").at("encode_s").get<double>() > 0.0);
  CHECK(sparse.at("question").at("compression").at("error_feedback") == true);
}

TEST_CASE("a threshold says how many values reached it") {
  const Outcome outcome =
      trainyard_line(kStated + "--sync all-reduce --compress threshold --threshold 1e-9 --gpu free");
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("all-reduce: 100 % of the values reached the threshold; bytes are those of 1 %") !=
        std::string::npos);
}

TEST_CASE("layers of a model are pushed while the backward pass goes on") {
  const std::string line =
      "converge --workers 2 --model gpt2 --cluster dgx-a100 --batch 4 --updates 3 --sync synchronous ";
  const Document whole = answer_of(line);
  const Document by_layer = answer_of(line + "--push layer");
  CHECK(by_layer.at("modes")[0].at("time_s").get<double>() < whole.at("modes")[0].at("time_s").get<double>());
  // Twelve layers, the embedding, and what the head has: its norm.
  const Document& layers = by_layer.at("question").at("layers");
  REQUIRE(layers.size() == 14);
  CHECK(layers[13].at("ready") == 1.0);
  double sum = 0.0;
  for (const Document& layer : layers) {
    sum += layer.at("share").get<double>();
  }
  CHECK(sum == Approx(1.0));
  // A layer has 7,087,872 of 124,439,808 parameters and 47 rows of 768 that pad the vocabulary.
  CHECK(layers[5].at("share").get<double>() == Approx(7087872.0 / (124439808.0 + 47 * 768)));
  // Layers that stay whole are no equal shards.
  const Document hashed = answer_of(line + "--dedicated-servers 4 --sharding by-hash");
  CHECK(hashed.at("question").at("largest_shard").get<double>() > 0.25);
}

TEST_CASE("privacy takes its passes over the gradients of all samples") {
  // 100 MB for each of 32 samples, written and read twice, and twice for the noise: 9.8 GB on a memory of 2 TB/s, of
  // which kernels reach most.
  const std::string line = kStated + "--sync all-reduce --clip 1 --noise-multiplier 0.5 --gpu a100-80";
  const Document question = answer_of(line).at("question");
  CHECK(question.at("clipping_s").get<double>() > 9.8e9 / 2.04e12);
  CHECK(question.at("clipping_s").get<double>() < 9.8e9 / 1.5e12);
  CHECK(question.at("noise_multiplier") == 0.5);
}

TEST_CASE("secure aggregation makes rounds longer") {
  const std::string line = kFree + "--sync federated --client-share 1 ";
  const double plain = answer_of(line).at("modes")[0].at("time_s").get<double>();
  CHECK(answer_of(line + "--secure-aggregation 1GB/s").at("modes")[0].at("time_s").get<double>() > plain);
}

TEST_CASE("single workers have NICs of their own, drawn or given") {
  // The slowest NIC binds the ring: 2 x 3/4 x 100 MB at 10 MB/s.
  const Document given = answer_of(kStated + "--sync all-reduce --bandwidth-of 2=10MB/s");
  CHECK(given.at("modes")[0].at("time_s").get<double>() == Approx(20 * (0.1 + 15.0)));
  const std::string drawn = kStated + "--sync all-reduce --bandwidth-spread 0.5 --seed ";
  const double first = answer_of(drawn + "1").at("modes")[0].at("time_s").get<double>();
  CHECK(first == answer_of(drawn + "1").at("modes")[0].at("time_s").get<double>());
  CHECK(first != answer_of(drawn + "2").at("modes")[0].at("time_s").get<double>());
}

TEST_CASE("histograms of staleness count every gradient") {
  const Document answer = answer_of(kStated + "--sync asynchronous --slowdown 2=3 --jitter 0.2");
  const Document& mode = answer.at("modes")[0];
  const auto sum_of = [](const Document& counts) {
    int sum = 0;
    for (const Document& count : counts) {
      sum += count.get<int>();
    }
    return sum;
  };
  CHECK(sum_of(mode.at("staleness")) == 80);
  int of_workers = 0;
  for (const Document& worker : mode.at("workers")) {
    of_workers += sum_of(worker.at("staleness"));
  }
  CHECK(of_workers == 80);
}

TEST_CASE("curves are written as a table and as a picture") {
  const ScratchFolder scratch;
  const std::string csv = (scratch.path / "loss.csv").string();
  const std::string svg = (scratch.path / "loss.svg").string();
  const Outcome outcome = trainyard_line(kStated + "--problem perceptron --csv " + csv + " --plot " + svg);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("perceptron by 4 workers") != std::string::npos);
  // A header, and of the synchronous mode 21 points, of the asynchronous one 81.
  const std::string table = content_of(csv);
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 21 + 81);
  CHECK(content_of(svg).starts_with("<svg"));
}

TEST_CASE("a model on a cluster says what a worker's iteration takes") {
  // 124,439,808 parameters of gpt2, four bytes each.
  const Document answer =
      answer_of("converge --workers 2 --model gpt2 --cluster dgx-a100 --batch 4 --updates 3 --sync all-reduce");
  CHECK(answer.at("question").at("parameter_bytes").get<double>() == 4.0 * 124439808);
  const Outcome run =
      trainyard_line("run --model gpt2 --cluster dgx-a100 --gpus 1 --global-batch 4 --micro-batch 4 --json -");
  CHECK(answer.at("question").at("compute_s").get<double>() ==
        Approx(Document::parse(run.out).at("step_time_s").get<double>()).epsilon(1e-9));
}

TEST_CASE("a loss that leaves the numbers is said, not printed") {
  const Outcome outcome = trainyard_line(kWorkers + "--compute 1ms --learning-rate 1e9");
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("diverged") != std::string::npos);
  CHECK(outcome.out.find("nan") == std::string::npos);
  CHECK(outcome.out.find("inf") == std::string::npos);
}

TEST_CASE("what cannot be, and what would change nothing, is refused") {
  struct Mistake {
    std::string line;
    std::vector<std::string> fragments;
    int code = 2;
  };
  const std::vector<Mistake> mistakes = {
      {kStated + "--servers 0", {"in: --servers", "found: \"0\"", "allowed: 1 to 4"}},
      {kStated + "--dedicated-servers 0", {"in: --dedicated-servers"}},
      {kStated + "--sync backup-workers --backup 4", {"in: --backup", "found: \"4\"", "allowed: 0 to 3"}},
      {kStated + "--sync stale-synchronous --bound -1", {"in: --bound", "found: \"-1\"", "allowed: 0 to "}},
      {kStated + "--sync local-steps --local-steps 0", {"in: --local-steps", "allowed: 1 to "}},
      {kStated + "--sync federated --client-share 0", {"in: --client-share", "out of range"}},
      {kStated + "--sync federated --dropout 1", {"in: --dropout", "out of range"}},
      {kStated + "--sync federated --data-sizes zipff", {"in: --data-sizes", "did you mean: zipf"}},
      {kStated + "--sync federated --local-steps 0", {"in: --local-steps", "allowed: 1 to "}},
      {kStated + "--sync federated --servers 2", {"in: --servers", "beside worker 0", "on nodes of their own"}},
      {kStated + "--sync post-local --switch-at -1", {"in: --switch-at", "found: \"-1\""}},
      {kStated + "--sync diloco --local-steps 0", {"in: --local-steps", "allowed: 1 to "}},
      {kStated + "--sync diloco --inner-optimizer adamx", {"in: --inner-optimizer", "did you mean: adam"}},
      {kStated + "--sync diloco --outer-momentum 2", {"in: --outer-momentum", "out of range"}},
      {kStated + "--sync gossip --graph rung", {"in: --graph", "did you mean: ring"}},
      {kStated + "--sync gossip --graph 0-1,2-3", {"in: --graph", "no way from worker 0 to 2, 3", "connected"}},
      {kStated + "--sync gossip --graph 0-1,1-4", {"in: --graph", "found: \"4\"", "allowed: 0 to 3"}},
      {kStated + "--sync gossip --graph 0-1,2", {"in: --graph", "this is no edge"}},
      {"converge --workers 7 --compute 1ms --parameters 1MB --bandwidth 1GB/s --sync gossip --graph torus",
       {"in: --graph", "torus of 7 workers", "one row of workers is a ring"}},
      {kStated + "--switch-at 3", {"in: --switch-at", "change nothing"}},
      {kStated + "--client-share 0.5", {"in: --client-share", "change nothing"}},
      {kStated + "--graph ring", {"in: --graph", "change nothing"}},
      {kStated + "--inner-rate 1", {"in: --inner-rate", "change nothing"}},
      {kStated + "--sync all-reduce --server-bandwidth 1GB/s", {"in: --server-bandwidth", "change nothing"}},
      {kStated + "--bandwidth-of 1=fast", {"in: --bandwidth-of", "not a quantity"}},
      {kStated + "--bandwidth-of 1=0GB/s", {"in: --bandwidth", "nothing would arrive"}},
      {kStated + "--latency-of 4=1ms", {"in: --latency-of", "allowed: 0 to 3"}},
      {kStated + "--bandwidth-spread -1", {"in: --bandwidth-spread", "out of range"}},
      {kStated + "--compress zip --gpu free", {"in: --compress", "found: zip"}},
      {kStated + "--compress top-k", {"no --gpu", "free"}},
      {kStated + "--compress threshold --gpu free", {"no --threshold", "from which magnitude on"}},
      {kStated + "--compress top-k --gpu a100-8", {"in: --gpu", "did you mean: a100-80"}},
      {kStated + "--compress top-k --keep 0 --gpu free", {"in: --keep", "out of range"}},
      {kStated + "--compress qsgd --bits 1 --gpu free", {"in: --bits", "allowed: 2 to 32"}},
      {kStated + "--compress powersgd --rank 0 --sync all-reduce --gpu free", {"in: --rank", "allowed: 1 to "}},
      {kStated + "--compress powersgd --gpu free", {"in: --compress", "modes of --sync that all-reduce"}},
      {kStated + "--compress one-bit-adam --sync all-reduce --gpu free", {"in: --compress", "with --optimizer adam"}},
      {kStated + "--compress top-k --sync gossip --gpu free", {"in: --compress", "top-k"}},
      {kStated + "--compress top-k --error-feedback maybe --gpu free", {"in: --error-feedback", "on, off"}},
      {kStated + "--keep 0.1", {"in: --keep", "change nothing"}},
      {kStated + "--error-feedback on", {"in: --error-feedback", "change nothing"}},
      {kStated + "--gpu a100-80", {"in: --gpu", "change nothing"}},
      {"converge --workers 2 --model gpt2 --cluster dgx-a100 --compress fp16 --gpu a100-80",
       {"in: --gpu", "the cluster says this already"}},
      {kStated + "--sharding by-size", {"in: --sharding", "change nothing", "--layers"}},
      {kStated + "--push layer", {"in: --push", "change nothing", "--layers"}},
      {kStated + "--layers 0.5,0.4", {"in: --layers", "which sum to 0.9", "shares of all parameters that sum to 1"}},
      {kStated + "--layers 0.5,0,0.5", {"in: --layers", "out of range"}},
      {kStated + "--sync all-reduce --server-memory 1GB/s", {"in: --server-memory", "change nothing"}},
      {kStated + "--server-memory 0GB/s", {"in: --server-memory", "never apply"}},
      {kStated + "--clip 0 --gpu free", {"in: --clip", "out of range"}},
      {kStated + "--clip 1", {"no --gpu"}},
      {kStated + "--noise-multiplier 1", {"in: --noise-multiplier", "change nothing", "add --clip"}},
      {kStated + "--secure-aggregation 1GB/s", {"in: --secure-aggregation", "change nothing"}},
      {kStated + "--sync federated --secure-aggregation 0GB/s", {"in: --secure-aggregation", "never be made"}},
      {kStated + "--sync federated --secure-aggregation yes", {"in: --secure-aggregation", "not a quantity"}},
      {kStated + "--sync federated --secure-aggregation 1GB/s --compress top-k --gpu free",
       {"in: --compress", "none with --secure-aggregation"}},
      {kStated + "--sync asynchronos", {"in: --sync", "did you mean: asynchronous"}},
      {kStated + "--sync asynchronous,asynchronous", {"in: --sync", "named twice"}},
      {kStated + "--slowdown 4=2", {"in: --slowdown", "found: \"4\"", "allowed: 0 to 3"}},
      {kStated + "--slowdown 1:2", {"in: --slowdown", "found: 1:2", "worker=factor"}},
      {kStated + "--slowdown 1=2,1=3", {"in: --slowdown", "named twice"}},
      {kStated + "--slowdown 1=0", {"in: --slowdown", "out of range"}},
      {kStated + "--jitter many", {"in: --jitter", "expected a number"}},
      {kStated + "--problem perceptrn", {"in: --problem", "did you mean: perceptron"}},
      {kStated + "--optimizer adm", {"in: --optimizer", "did you mean: adam"}},
      {kStated + "--learning-rate 0", {"in: --learning-rate"}},
      {kStated + "--bound 3", {"in: --bound", "change nothing", "add --sync stale-synchronous"}},
      {kStated + "--activation relu", {"in: --activation", "change nothing"}},
      {kStated + "--sync all-reduce --servers 2", {"in: --servers", "change nothing"}},
      {kStated + "--csv -", {"in: --csv"}},
      {kWorkers, {"no --compute"}},
      {kWorkers + "--compute 100", {"in: --compute", "found: \"100\"", "ms"}},
      {kWorkers + "--compute 1s --model gpt2", {"in: --compute", "say this already"}},
      {"converge --workers 2 --model gpt2", {"no --cluster"}},
      {"converge --workers 2 --model gtp2 --cluster dgx-a100", {"in: --model", "did you mean: gpt2"}},
      {"converge --workers 2 --compute 1ms --parameters 0B --bandwidth 1GB/s", {"in: --parameters"}},
      {"converge --workers 2 --compute 1ms --parameters 1B --bandwidth 0GB/s", {"in: --bandwidth"}},
      {"converge --workers 0 --compute 1ms --parameters 1B --bandwidth 1GB/s", {"in: --workers"}},
      {"converge --workers 5000 --servers 5000 --compute 1ms --parameters 1MB --bandwidth 1GB/s",
       {"would run away", "in: --updates"}},
      {"converge --workers 2 --model gpt3-175b --cluster dgx-a100", {"does not fit", "a worker is one GPU"}, 3}};
  for (const Mistake& mistake : mistakes) {
    const Outcome outcome = trainyard_line(mistake.line);
    CAPTURE(mistake.line);
    CAPTURE(outcome.err);
    CHECK(outcome.code == mistake.code);
    CHECK(outcome.out.empty());
    for (const std::string& fragment : mistake.fragments) {
      CAPTURE(fragment);
      CHECK(outcome.err.find(fragment) != std::string::npos);
    }
  }
}

}  // namespace test_converge_verb
