#pragma once
// Max-min fair shares of links among flows that come and go. As long as no link is asked for more than it carries every
// flow moves at its own limit; links that are asked for more are filled progressively: all flows on them grow alike,
// each until its own limit or a full link stops it (Bertsekas and Gallager, "Data Networks", 2nd edition, 6.5.2). Only
// flows that the change can reach over such links are solved again. Tests hold the shares to SimGrid's.
//
// Where n flows share a link, one that began a moment before the others ends n such moments before them: step by step
// rounding would grow into another course of events. So shares are the same to the bit whether a class of w flows is
// one flow of weight w or w flows: sums are of whole numbers, and a link's capacity is given out rate by rate, not flow
// by flow.
#include <algorithm>
#include <cstdint>
#include <vector>

namespace trainyard {

class FairShares {
 public:
  struct Crossing {
    std::int32_t link;
    double weight;  // how many shares of one such link the flow takes
  };
  struct Share {
    std::int32_t flow;
    double rate;
  };

  // What changed since shares were last found, and the room to find them in. One for all, or one for each part of the
  // network whose flows and links no other part touches: parts may then be solved at the same time.
  class Changes {
   public:
    // Whether flows came or went that change the shares of others.
    bool any() const { return !stale_.empty(); }

   private:
    friend class FairShares;
    // When a link is full if all open flows grow alike.
    struct Level {
      double level;
      std::int32_t link;
    };
    std::vector<std::int32_t> stale_;
    std::vector<std::int32_t> reached_flows_;
    std::vector<std::int32_t> reached_links_;
    std::vector<Level> levels_;
    std::vector<Share> shares_;
  };

  // `capacity` of every link in bytes per second; what each flow crosses, every link once; and its own limit, zero for
  // none. A flow without a limit crosses a link.
  FairShares(std::vector<double> capacity, std::vector<std::vector<Crossing>> crossings,
             const std::vector<double>& limits);

  // The rate of a flow when no link it crosses is asked for more than it carries.
  double alone(std::int32_t flow) const { return flows_[static_cast<std::size_t>(flow)].alone; }
  const std::vector<Crossing>& crossings(std::int32_t flow) const { return crossings_[static_cast<std::size_t>(flow)]; }

  // A flow begins to move. True when all of its links carry it at its own limit: then no share changes.
  bool enter(std::int32_t flow, Changes& changes);
  void leave(std::int32_t flow, Changes& changes);
  // The shares of all flows that may have got another one, in no particular but always the same order.
  const std::vector<Share>& solve(Changes& changes);

 private:
  // What a flow asks of a link is counted in whole parts of its capacity, so that sums are exact in any order.
  static constexpr double kWhole = 0x1p42;
  // Of rounding to parts: a link is asked for more than it carries when it is by more than 1.5e-11.
  static constexpr std::int64_t kCarries = (std::int64_t{1} << 42) + 64;

  struct Flow {
    double alone = 0.0;
    bool open = false;  // found by solve() and not yet given a share
  };
  struct Link {
    double capacity = 0.0;
    std::int64_t asked = 0;  // in parts of its capacity
    struct Entry {
      std::int32_t flow;
      std::int32_t crossing;
    };
    std::vector<Entry> active;
    bool is_stale = false;
    bool found = false;
    // While it is filled: what is left of the capacity but for `taken` shares of `rate`, and the weights of the open
    // flows.
    double left = 0.0;
    double rate = 0.0;
    double taken = 0.0;
    double users = 0.0;
    bool is_short() const { return asked > kCarries; }
    double level() const { return std::max(0.0, left - rate * taken) / users; }
  };

  Link& link(std::int32_t number) { return links_[static_cast<std::size_t>(number)]; }
  void make_stale(std::int32_t number, Changes& changes);
  void find_reached(Changes& changes);
  void give(std::int32_t flow, double rate, Changes& changes);

  std::vector<Link> links_;
  std::vector<Flow> flows_;
  std::vector<std::vector<Crossing>> crossings_;
  std::vector<std::vector<std::int64_t>> parts_;   // by flow and crossing
  std::vector<std::vector<std::int32_t>> places_;  // likewise: where the flow stands in the link's list
};

}  // namespace trainyard
