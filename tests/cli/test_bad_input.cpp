// What a user gets wrong: every mistake has its exit code and a message with file, place, found, allowed and remedy.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_bad_input {

namespace {

const std::string kSmall = "run --model gpt2 --cluster dgx-a100 --gpus 8 --network analytic ";

// The command ends with `code`, prints nothing for a consumer, and its message holds every fragment.
void expect_fault(const Outcome& outcome, int code, const std::vector<std::string>& fragments) {
  CAPTURE(outcome.err);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  for (const std::string& fragment : fragments) {
    CAPTURE(fragment);
    CHECK(outcome.err.find(fragment) != std::string::npos);
  }
}

struct Mistake {
  std::string line;
  std::vector<std::string> fragments;
};

}  // namespace

TEST_CASE("an unknown name is answered with the nearest one") {
  const std::vector<Mistake> mistakes = {
      {"run --model gtp2 --cluster dgx-a100 --gpus 8",
       {"unknown model", "in: --model", "at: /model", "found: \"gtp2\"", "allowed: alexnet, bert-base",
        "did you mean: gpt2\n"}},
      {"run --model gpt2 --cluster dgx-a10 --gpus 8",
       {"unknown cluster", "in: --cluster", "at: /cluster", "found: \"dgx-a10\"", "did you mean: dgx-a100\n"}},
      {kSmall + "--gpu a100-8", {"unknown GPU", "in: --gpu", "found: \"a100-8\"", "did you mean: a100"}},
      {kSmall + "--framework megatron-cor", {"in: --framework", "at: /framework", "did you mean: megatron-core\n"}},
      {kSmall + "--schedule 1f1c",
       {"in: --schedule", "at: /training/schedule", "found: \"1f1c\"", "allowed: gpipe, 1f1b, interleaved",
        "did you mean: 1f1b\n"}},
      {kSmall + "--recompute ful", {"in: --recompute", "allowed: none, selective, full", "did you mean: full\n"}},
      {kSmall + "--precision bf61", {"in: --precision", "at: /training/precision", "did you mean: bf16\n"}},
      {kSmall + "--optimizer adm", {"in: --optimizer", "did you mean: adam\n"}},
      {"run --model gpt2 --cluster dgx-a100 --gpus 8 --network flwo",
       {"in: --network", "allowed: flow, analytic", "did you mean: flow\n"}},
      {kSmall + "--trace /dev/null --trace-ranks stage",
       {"in: --trace-ranks", "found: stage", "did you mean: stages\n"}},
      {"rnu --model gpt2", {"unknown verb", "in: command line", "found: rnu", "allowed: run, ", "did you mean: run\n"}},
      {"run --modle gpt2", {"unknown option of run", "found: --modle", "did you mean: --model\n"}},
      {"run --model=gpt2 --gpsu=8", {"unknown option of run", "found: --gpsu\n", "did you mean: --gpu\n"}},
      {"list modls", {"unknown kind of list", "found: modls", "did you mean: models\n"}},
      {"validate rnus x.csv", {"unknown kind of validate", "did you mean: runs\n"}},
      {"calibrate --gpu h100-sx x.csv", {"unknown GPU", "did you mean: h100-sxm\n"}},
      {"", {"a verb is missing", "allowed: run, "}},
      {"list", {"a kind of list is missing", "allowed: models, "}}};
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.line);
    expect_fault(trainyard_line(mistake.line), 2, mistake.fragments);
  }
}

TEST_CASE("an impossible layout says which numbers do not go together and what to do") {
  const std::vector<Mistake> mistakes = {
      {"run --model gpt2 --cluster dgx-a100 --gpus 16 --tp 2 --pp 2 --dp 2",
       {"must equal the number of GPUs", "at: /layout", "found: 2 * 2 * 1 * 2 on 16 GPUs", "allowed: a product of 16",
        "remedy: leave dp out"}},
      // GPT-2 has 12 heads and 12 layers.
      {kSmall + "--tp 8",
       {"heads must be divisible by tp", "in: --tp", "at: /layout/tp", "found: 8", "a divisor of 12 heads",
        "remedy: "}},
      {"run --model gpt2 --cluster dgx-a100 --gpus 16 --pp 16 --micro-batch 1 --global-batch 16",
       {"fewer layers than pipeline stages", "at: /layout/pp", "found: pp 16", "12 layers", "remedy: lower pp"}},
      {kSmall + "--micro-batch 1 --global-batch 12",
       {"divisible by micro_batch * dp", "in: --global-batch", "at: /training/global_batch", "found: 12",
        "a multiple of 1 * 8 = 8", "remedy: use 8"}},
      {kSmall + "--global-batch 8 --vpp 2", {"interleaved schedule needs", "pp >= 2 and vpp >= 2", "remedy: "}},
      {kSmall + "--global-batch 8 --order tp-pp", {"in: --order", "at: /layout/order", "found: tp-pp", "remedy: "}},
      {kSmall + "--global-batch 8 --seq-len 4096", {"in: --seq-len", "found: 4096", "at most 1024", "remedy: "}}};
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.line);
    expect_fault(trainyard_line(mistake.line), 2, mistake.fragments);
  }
}

TEST_CASE("a flag takes no negative, zero, infinite, undefined, enormous, broken or empty number") {
  for (const std::string flag :
       {"--gpus", "--tp", "--pp", "--vpp", "--dp", "--micro-batch", "--global-batch", "--seq-len"}) {
    for (const std::string value : {"-1", "0", "nan", "NaN", "inf", "1e30", "1e400", "2.5", "8x", "null1"}) {
      CAPTURE(flag);
      CAPTURE(value);
      std::vector<std::string> words = {"run", "--model", "gpt2", "--cluster", "dgx-a100", flag, value};
      if (flag != "--gpus") {
        words.insert(words.end(), {"--gpus", "8"});
      }
      const Outcome outcome = trainyard_with(words);
      expect_fault(outcome, 2, {"number", "in: " + flag, "at: /", "found: ", "allowed: 1 to "});
    }
    expect_fault(trainyard_with({"run", "--model", "gpt2", flag, ""}), 2, {"in: " + flag, "found: an empty value"});
  }
  expect_fault(trainyard_line(kSmall + "--zero -1"), 2,
               {"the number is out of range", "in: --zero", "found: -1", "allowed: 0 to 3"});
  expect_fault(trainyard_line(kSmall + "--data-parallel fsdp --zero 3 --set "
                                       "training.data_parallel.reshard_after_forward=false"),
               2, {"found: 3", "allowed: 2\n"});
  expect_fault(trainyard_line(kSmall + "--sequence-parallel maybe"), 2,
               {"in: --sequence-parallel", "found: \"maybe\"", "allowed: true, false"});
  expect_fault(trainyard_line(kSmall + "--fold perhaps"), 2, {"in: --fold", "at: /fold", "found: \"perhaps\""});
}

TEST_CASE("a scenario file takes no such number either and the message names the file") {
  const ScratchFolder scratch;
  for (const std::string value : {"-1", "0", "1e30", "2.5", "\"8\"", "true", "[8]", "{}", "18446744073709551616"}) {
    for (const std::string key : {"gpus", "tp", "micro_batch"}) {
      CAPTURE(key);
      CAPTURE(value);
      const std::string layout = key == "tp" ? value : "1";
      const std::string batch = key == "micro_batch" ? value : "1";
      const std::string gpus = key == "gpus" ? value : "8";
      const std::string file =
          scratch.file("s.json", R"({"model":"gpt2","cluster":"dgx-a100","gpus":)" + gpus + R"(,"layout":{"tp":)" +
                                     layout + R"(},"training":{"micro_batch":)" + batch + "}}");
      expect_fault(trainyard_with({"run", file}), 2,
                   {"number", "in: " + file, "/" + key + "\n", "found: ", "allowed: 1 to "});
    }
  }
  for (const std::string value : {"NaN", "Infinity", "-", "1e", "0x10"}) {
    const std::string file = scratch.file("s.json", R"({"model":"gpt2","gpus":)" + value + "}");
    expect_fault(trainyard_with({"run", file}), 2, {"not valid JSON", "in: " + file + ":1:", "remedy: "});
  }
  const std::string huge = scratch.file("s.json", R"({"model":"gpt2","gpus":1e400})");
  expect_fault(trainyard_with({"run", huge}), 2, {"too large", "in: " + huge, "remedy: "});
}

TEST_CASE("unknown and missing keys are named with their place") {
  const ScratchFolder scratch;
  const std::string root = scratch.file("root.json", R"({"modle":"gpt2","cluster":"dgx-a100","gpus":8})");
  expect_fault(
      trainyard_with({"run", root}), 2,
      {"unknown key \"modle\"", "in: " + root, "at: /modle", "allowed: model, cluster", "did you mean: model\n"});
  const std::string inner =
      scratch.file("inner.json", R"({"model":"gpt2","cluster":"dgx-a100","gpus":8,"training":{"microbatch":1}})");
  expect_fault(
      trainyard_with({"run", inner}), 2,
      {"unknown key \"microbatch\"", "in: " + inner, "at: /training/microbatch", "did you mean: micro_batch\n"});
  const std::string lacking = scratch.file("lacking.json", R"({"model":"gpt2","cluster":"dgx-a100"})");
  expect_fault(trainyard_with({"run", lacking}), 2, {"missing key", "in: " + lacking, "at: /gpus", "found: nothing"});
  const std::string twice = scratch.file("twice.json", R"({"model":"gpt2","model":"gpt2-xl","gpus":8})");
  expect_fault(trainyard_with({"run", twice}), 2, {"duplicate key", "in: " + twice, "\"model\""});
}

TEST_CASE("what is no JSON is refused at its line and column") {
  const ScratchFolder scratch;
  const std::string whole = R"({"model":"gpt2","cluster":"dgx-a100","gpus":8})";
  for (std::size_t length = 0; length < whole.size(); length += 5) {
    const std::string file = scratch.file("cut.json", whole.substr(0, length));
    expect_fault(trainyard_with({"run", file}), 2, {"not valid JSON", "in: " + file + ":1:", "remedy: "});
  }
  const std::string latin = scratch.file("latin.json", "{\"model\":\"gpt\xe9\",\n\"gpus\":8}");
  expect_fault(trainyard_with({"run", latin}), 2, {"not valid JSON", "in: " + latin + ":1:"});
  const std::string binary = scratch.file("binary.json", std::string("\0\1\2\xff", 4));
  expect_fault(trainyard_with({"run", binary}), 2, {"not valid JSON", "in: " + binary});
  const std::string list = scratch.file("list.json", "[1, 2]");
  expect_fault(trainyard_with({"run", list}), 2, {"expected an object", "in: " + list, "found: [1,2]"});
  const std::string deep = scratch.file("deep.json", std::string(100'000, '['));
  expect_fault(trainyard_with({"run", deep}), 2, {"nested deeper than 64 levels", "in: " + deep});
}

TEST_CASE("files that cannot be read or written are named before any work") {
  const ScratchFolder scratch;
  const std::string folder = scratch.path;
  const std::string missing = scratch.path / "none.json";
  const std::string nowhere = scratch.path / "none" / "out.json";
  expect_fault(trainyard_with({"run", missing}), 2,
               {"cannot read the file", "in: " + missing, "No such file", "remedy: "});
  expect_fault(trainyard_with({"run", folder}), 2, {"cannot read the file", "in: " + folder, "it is a folder"});
  expect_fault(trainyard_line(kSmall + "--json " + nowhere), 2,
               {"cannot write the file", "in: " + nowhere, "remedy: "});
  expect_fault(trainyard_line(kSmall + "--json " + folder), 2, {"cannot write the file", "in: " + folder});
  expect_fault(trainyard_line(kSmall + "--trace " + nowhere), 2, {"cannot write the file", "in: " + nowhere});
  expect_fault(trainyard_line(kSmall + "--trace " + folder), 2, {"cannot write the file", "in: " + folder});
  expect_fault(trainyard_line("list models --json " + nowhere), 2, {"cannot write the file", "in: " + nowhere});
  expect_fault(trainyard_line("validate runs " + missing), 2, {"cannot read the file", "in: " + missing});
  expect_fault(trainyard_line("validate gemm " + missing), 2, {"cannot read the file", "in: " + missing});
  expect_fault(trainyard_line("validate collectives " + missing), 2, {"cannot read the file", "in: " + missing});
  CHECK(scratch.entries() == 0);
}

TEST_CASE("a --set that is no assignment or leads nowhere is refused") {
  const std::string base = "run --model gpt2 --cluster dgx-a100 --gpus 8 ";
  expect_fault(trainyard_line(base + "--set layout.tp"), 2,
               {"not an assignment", "in: --set", "found: layout.tp", "allowed: key.path=value"});
  expect_fault(trainyard_line(base + "--set =3"), 2, {"not an assignment", "in: --set"});
  expect_fault(trainyard_line(base + "--set layout.tpp=2"), 2,
               {"unknown key \"tpp\"", "at: /layout/tpp", "did you mean: tp\n"});
  expect_fault(trainyard_line(base + "--set gpus.per.node=2"), 2, {"in: --set", "not an object"});
  expect_fault(trainyard_line(base + "--set layout.tp=many"), 2,
               {"expected a whole number", "at: /layout/tp", "found: \"many\""});
}

TEST_CASE("a model that does not fit ends with code 3, a remedy and the old outputs") {
  const ScratchFolder scratch;
  const std::string json = scratch.file("out.json", "old");
  const std::string trace = scratch.file("trace.json.gz", "old");
  const std::string line =
      "run --model gpt3-175b --cluster dgx-a100 --gpus 8 --tp 8 --global-batch 8 --network analytic --json " + json +
      " --trace " + trace;
  expect_fault(
      trainyard_line(line), 3,
      {"does not fit in memory", "found: ", "on stage 0", "allowed: 79.15 GiB per GPU", "remedy: ", "--allow-oom"});
  CHECK(content_of(json) == "old");
  CHECK(content_of(trace) == "old");
  CHECK(scratch.entries() == 2);

  const Outcome allowed = trainyard_line(line + " --allow-oom");
  CHECK(allowed.code == 0);
  CHECK(allowed.out.find("DOES NOT FIT") != std::string::npos);
  CHECK(allowed.out.find("step time") != std::string::npos);
  CHECK(content_of(json).find("\"fits\": false") != std::string::npos);
  CHECK(content_of(trace).substr(0, 2) == "\x1f\x8b");
  CHECK(scratch.entries() == 2);
}

TEST_CASE("collective and topology name what they cannot use") {
  const std::vector<Mistake> mistakes = {
      {"collective --op all_reduc --cluster dgx-a100 --gpus 8",
       {"in: --op", "found: all_reduc", "did you mean: all_reduce\n"}},
      {"collective --cluster dgx-a10 --gpus 8", {"unknown cluster", "in: --cluster", "did you mean: dgx-a100\n"}},
      {"collective --cluster dgx-a100 --gpus -8", {"in: --gpus", "found: \"-8\"", "allowed: 1 to "}},
      {"collective --cluster dgx-a100 --gpus 1e30", {"in: --gpus", "found: \"1e30\"", "allowed: 1 to "}},
      {"collective --cluster dgx-a100 --gpus 8 --sizes nan", {"in: --sizes", "found: nan", "remedy: "}},
      {"collective --cluster dgx-a100 --gpus 8 --sizes 0",
       {"in: --sizes", "found: 0", "allowed: whole bytes from 1 to "}},
      {"collective --cluster dgx-a100 --gpus 8 --sizes 1.5", {"in: --sizes", "found: 1.5", "whole bytes"}},
      {"collective --cluster dgx-a100 --gpus 8 --sizes 9223372036854775809", {"in: --sizes", "1048576T"}},
      {"collective --cluster dgx-a100 --gpus 8 --protocol LL9",
       {"in: --protocol", "found: LL9", "allowed: LL, LL128, Simple"}},
      {"collective --cluster dgx-a100 --gpus 8 --algorithm nvls",
       {"in: --algorithm", "found: nvls for all_reduce of 8 GPUs on one node", "allowed: ring/LL, "}},
      {"collective --cluster dgx-a100 --gpus 8 --group all_reduce:1M --sizes 1M", {"in: --sizes", "leave out --sizes"}},
      {"calibrate --gpu a100-80 --ranks 8 x.csv", {"in: --ranks", "allowed: beside --cluster"}},
      {"validate collectives --cluster dgx-a10 x.csv", {"unknown cluster", "in: --cluster"}},
      {"collective --cluster dgx-a100 --gpus 8 --sizes 8G:1M", {"in: --sizes", "empty", "found: 8G:1M"}},
      {"collective --cluster dgx-a100 --gpus 8 --channels 0", {"in: --channels", "allowed: 1 to "}},
      {"collective --cluster dgx-a100 --gpus 8 --algorithm rin",
       {"in: --algorithm", "found: rin", "allowed: ring, tree, ", "did you mean: ring\n"}},
      {"topology dgx-a10", {"unknown cluster", "found: \"dgx-a10\"", "did you mean: dgx-a100\n"}},
      {"topology dgx-a100 --gpus 0", {"in: --gpus", "found: \"0\"", "allowed: 1 to "}},
      {"topology dgx-a100 --path 0", {"in: --path", "found: 0", "allowed: two GPUs"}},
      {"topology dgx-a100 --path 0:8", {"in: --path", "found: \"8\"", "allowed: 0 to 7"}},
      {"topology dgx-a100 --svg /none/f.svg", {"cannot write the file", "in: /none/f.svg"}}};
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.line);
    expect_fault(trainyard_line(mistake.line), 2, mistake.fragments);
  }
}

TEST_CASE("superfluous and valueless words are usage errors that point to the help") {
  expect_fault(trainyard_line("run a.json b.json"), 2,
               {"in: command line", "b.json", "remedy: see trainyard run --help"});
  expect_fault(trainyard_line("run --gpus"), 2, {"--gpus", "remedy: see trainyard run --help"});
  expect_fault(trainyard_line("validate runs"), 2, {"files is required", "remedy: see trainyard validate"});
  expect_fault(trainyard_line("calibrate x.csv"), 2, {"exactly one", "remedy: "});
}

}  // namespace test_bad_input
