#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <numeric>

#include "models/blocks/expert_tokens.hpp"
#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_expert_operators {

namespace {

const LayerKind kExpertLayer{.feed_forward = FeedForward::kExperts};

std::vector<GroupCollective> collectives(const std::vector<Operator>& list, ParallelGroup group) {
  std::vector<GroupCollective> found;
  for (const Operator& op : list) {
    const auto* collective = std::get_if<GroupCollective>(&op.work);
    if (collective != nullptr && collective->group == group) {
      found.push_back(*collective);
    }
  }
  return found;
}

std::vector<GroupedGemm> grouped(const std::vector<Operator>& list, std::string_view name, Pass pass) {
  std::vector<GroupedGemm> found;
  for (const Operator& op : list) {
    const auto* gemm = std::get_if<GroupedGemm>(&op.work);
    if (gemm != nullptr && op.name == name && op.pass == pass) {
      found.push_back(*gemm);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("tokens are sent once per expert that they visit, four times per layer and micro-batch") {
  // Volume one way: tokens x top-k x hidden x 2 bytes. Mixtral: 4096 tokens, 2 of 8 experts, hidden 4096.
  const ModelSpec model = load_model("mixtral-8x7b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 4};
  const Bytes one_way{4096.0 * 2 * 4096 * 2};
  int exchanges = 0;
  for (const auto& list :
       {layer_forward(model, kExpertLayer, shape, {}), layer_backward(model, kExpertLayer, shape, {})}) {
    for (const GroupCollective& collective : collectives(list, ParallelGroup::kExpert)) {
      if (collective.op == CollectiveOp::kAllToAll && collective.size > Bytes{1e6}) {
        CHECK(collective.size == one_way);
        ++exchanges;
      }
    }
  }
  CHECK(exchanges == 4);
  const auto alone = layer_forward(model, kExpertLayer, {.micro_batch = 1, .seq_len = 4096}, {});
  CHECK(collectives(alone, ParallelGroup::kExpert).empty());
}

TEST_CASE("experts work in one grouped kernel on the tokens of the expert group, forward, and twice backward") {
  const ModelSpec model = load_model("mixtral-8x7b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 4};
  const auto forward = layer_forward(model, kExpertLayer, shape, {});
  const auto up = grouped(forward, "experts_up", Pass::kForward);
  REQUIRE(up.size() == 1);
  CHECK(up[0].tokens == std::vector<std::int64_t>{4096, 4096});  // 8192 copies from each of 4 ranks over 8 experts
  CHECK(up[0].k == 4096);
  CHECK(up[0].n == 2 * 14336);
  const auto backward = layer_backward(model, kExpertLayer, shape, {});
  const auto wgrad = grouped(backward, "experts_down", Pass::kWgrad);
  REQUIRE(wgrad.size() == 1);
  CHECK(wgrad[0].by == GroupedBy::kDepth);
  CHECK(wgrad[0].flops() == grouped(backward, "experts_down", Pass::kDgrad)[0].flops());
  // Sizes are read by the host, once per layer and micro-batch.
  int syncs = 0;
  for (const Operator& op : forward) {
    syncs += std::holds_alternative<HostSync>(op.work) ? 1 : 0;
  }
  CHECK(syncs == 1);
}

TEST_CASE("tokens follow the shares of the experts and sum to what was routed") {
  const ModelSpec model = load_model("mixtral-8x7b");
  CHECK(rc::check([&] {
    ShardShape shape{.micro_batch = 1, .seq_len = *rc::gen::inRange<std::int64_t>(1, 5000), .ep = 2};
    shape.routed_load = *rc::gen::element(0.5, 1.0, 1.3, 2.0);
    for (int i = 0; i < 4; ++i) {
      shape.expert_shares.push_back(static_cast<double>(*rc::gen::inRange(1, 50)));
    }
    const double sum = std::accumulate(shape.expert_shares.begin(), shape.expert_shares.end(), 0.0);
    for (double& share : shape.expert_shares) {
      share /= sum;
    }
    const ExpertTokens tokens = expert_tokens(model, shape);
    RC_ASSERT(tokens.received == std::llround(2.0 * static_cast<double>(shape.seq_len) * shape.routed_load));
    RC_ASSERT(tokens.computed == tokens.received);
    for (std::size_t i = 0; i < 4; ++i) {
      RC_ASSERT(std::abs(static_cast<double>(tokens.per_expert[i]) -
                         static_cast<double>(tokens.computed) * shape.expert_shares[i]) <= 1.0);
    }
  }));
}

TEST_CASE("a capacity makes all experts alike and spares the host its look at the counts") {
  const ModelSpec model = load_model("mixtral-8x7b");
  ShardShape shape{.micro_batch = 1, .seq_len = 1000, .ep = 2, .routed_load = 1.7};
  shape.padded_capacity = 1.25;
  const ExpertTokens tokens = expert_tokens(model, shape);
  // 2000 copies over 8 experts are 250; 1.25 times that is 312.5, so 313 from each of two ranks.
  CHECK(tokens.per_expert == std::vector<std::int64_t>(4, 626));
  CHECK(tokens.copies == 8 * 313);
  for (const Operator& op : layer_forward(model, kExpertLayer, shape, {})) {
    CHECK_FALSE(std::holds_alternative<HostSync>(op.work));
  }
}

TEST_CASE("a capacity without padding drops tokens and adds none") {
  const ModelSpec model = load_model("mixtral-8x7b");
  // Of 2000 copies an eighth is dropped by all experts together; this rank's get 0.8 of the mean, the busiest 0.95.
  const ShardShape shape{
      .micro_batch = 1, .seq_len = 1000, .ep = 2, .routed_load = 0.8, .heaviest_load = 0.95, .kept_share = 0.875};
  const ExpertTokens tokens = expert_tokens(model, shape);
  CHECK(tokens.copies == 1750);
  CHECK(tokens.received == 1600);
  CHECK(tokens.per_expert == std::vector<std::int64_t>(4, 400));
  CHECK(tokens.exchanged == 1900.0);
  CHECK(tokens.counts_known_late);
}

TEST_CASE("a rank with more tokens than the mean computes and exchanges more") {
  const ModelSpec model = load_model("qwen3-30b-a3b");
  ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 8};
  const double even = executed_flops(layer_forward(model, kExpertLayer, shape, {})).value;
  const auto before = collectives(layer_forward(model, kExpertLayer, shape, {}), ParallelGroup::kExpert);
  shape.routed_load = 1.5;
  shape.heaviest_load = 1.5;
  const auto list = layer_forward(model, kExpertLayer, shape, {});
  const double routed = 6.0 * 4096 * 8 * 2048 * 768;  // three matrices of 2048 x 768 for 8 experts of each token
  CHECK(executed_flops(list).value == doctest::Approx(even + 0.5 * routed).epsilon(1e-12));
  CHECK(collectives(list, ParallelGroup::kExpert).back().size == 1.5 * before.back().size);
}

TEST_CASE("the gather dispatcher moves every token to every rank, and DeepEP each token once to a node or rank") {
  const ModelSpec model = load_model("deepseek-v3");
  ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 8, .dispatcher = TokenDispatcher::kAllGather};
  const auto gathered = collectives(layer_forward(model, kExpertLayer, shape, {}), ParallelGroup::kExpert);
  REQUIRE(gathered.size() == 3);  // counts, gather, scatter
  CHECK(gathered[1].op == CollectiveOp::kAllGather);
  CHECK(gathered[1].size == Bytes{8.0 * 4096 * 7168 * 2});
  CHECK(gathered[2].op == CollectiveOp::kReduceScatter);
  CHECK(gathered[2].size == gathered[1].size);

  // Eight choices among eight ranks meet 8 (1 - (7/8)^8) different ones; among eight nodes as many.
  const double met = 8.0 * (1.0 - std::pow(7.0 / 8.0, 8.0));
  for (const std::int64_t ep : {8, 64}) {
    shape.ep = ep;
    shape.dispatcher = TokenDispatcher::kDeepEp;
    const auto deep = collectives(layer_forward(model, kExpertLayer, shape, {}), ParallelGroup::kExpert);
    REQUIRE(deep.size() == 3);
    CHECK(deep[1].size.value == doctest::Approx(met * 4096 * 7168 * 2).epsilon(1e-12));
  }
  // Blocks of fp8 travel with their scales; results come back in 16 bits.
  shape.precision = Precision::kFp8Block;
  const auto narrow = collectives(layer_forward(model, kExpertLayer, shape, {}), ParallelGroup::kExpert);
  CHECK(narrow[1].size.value == doctest::Approx(met * 4096 * 7168 * (1.0 + 4.0 / 128.0)).epsilon(1e-12));
  CHECK(narrow[2].size.value == doctest::Approx(met * 4096 * 7168 * 2).epsilon(1e-12));
}

TEST_CASE("expert tensor parallelism gathers tokens and cuts the experts' matrices") {
  const ModelSpec model = load_model("mixtral-8x7b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 2, .expert_tp = 2};
  const auto list = layer_forward(model, kExpertLayer, shape, {});
  const auto within = collectives(list, ParallelGroup::kExpertTensor);
  REQUIRE(within.size() == 2);
  CHECK(within[0].op == CollectiveOp::kAllGather);
  CHECK(within[0].size == Bytes{2.0 * 8192 * 4096 * 2});  // copies of two ranks
  CHECK(within[1].op == CollectiveOp::kReduceScatter);
  const auto up = grouped(list, "experts_up", Pass::kForward);
  REQUIRE(up.size() == 1);
  CHECK(up[0].n == 14336);
  CHECK(up[0].total_tokens() == 2 * 8192);
}

TEST_CASE("shared experts run beside the dispatch when asked, and cost the same") {
  const ModelSpec model = load_model("deepseek-v3");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 8};
  const auto apart = layer_forward(model, kExpertLayer, shape, {});
  const auto beside = layer_forward(model, kExpertLayer, shape, {.shared_experts = TensorOverlap::kOn});
  CHECK(apart.size() == beside.size());
  CHECK(executed_flops(apart) == executed_flops(beside));
  int overlapped = 0;
  for (std::size_t i = 0; i < beside.size(); ++i) {
    const auto* collective = std::get_if<GroupCollective>(&beside[i].work);
    if (collective != nullptr && collective->overlapped_operators > 0) {
      CHECK(beside[i].name == "ep_dispatch");
      CHECK(collective->overlapped_operators == 3);  // up, activation, down
      CHECK(beside[i + 1].name == "mlp_up");
      CHECK(beside[i + 3].name == "mlp_down");
      ++overlapped;
    }
  }
  CHECK(overlapped == 1);
}

TEST_CASE("one kernel per expert does the work of the grouped one") {
  const ModelSpec model = load_model("qwen3-30b-a3b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 8};
  const auto one = layer_backward(model, kExpertLayer, shape, {});
  const auto many = layer_backward(model, kExpertLayer, shape, {.grouped_gemm = Fusion::kOff});
  CHECK(executed_flops(one) == executed_flops(many));
  CHECK(many.size() == one.size() + 60);  // four grouped kernels become 16 each
}

}  // namespace test_expert_operators
