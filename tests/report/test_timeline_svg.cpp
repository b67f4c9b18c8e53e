#include <doctest/doctest.h>

#include <pugixml.hpp>
#include <string>
#include <vector>

#include "sim/report/timeline_svg.hpp"
#include "tests/report/hand_made.hpp"

using namespace trainyard;

namespace test_timeline_svg {

namespace {

pugi::xml_document parsed(const std::string& svg) {
  pugi::xml_document document;
  REQUIRE(document.load_string(svg.c_str()));
  return document;
}

std::vector<pugi::xml_node> rows_of(const pugi::xml_document& document) {
  std::vector<pugi::xml_node> rows;
  for (const pugi::xml_node& group : document.child("svg").children("g")) {
    rows.push_back(group);
  }
  return rows;
}

// The rectangles of a row after the first, which is its background.
std::vector<pugi::xml_node> blocks_of(const pugi::xml_node& row) {
  std::vector<pugi::xml_node> blocks;
  for (const pugi::xml_node& rectangle : row.children("rect")) {
    blocks.push_back(rectangle);
  }
  blocks.erase(blocks.begin());
  return blocks;
}

}  // namespace

TEST_CASE("the picture has a row for every rank class and stays inside its frame") {
  const HandMade made = sender_and_receiver();
  const pugi::xml_document document = parsed(timeline_svg("a <title> & more", made.program, made.timeline));
  const double width = document.child("svg").attribute("width").as_double();
  const auto rows = rows_of(document);
  REQUIRE(rows.size() == 2);
  CHECK(std::string(rows[0].child("text").text().get()) == "stage 0");
  CHECK(std::string(rows[1].child("text").text().get()) == "stage 1");
  for (const pugi::xml_node& row : rows) {
    for (const pugi::xml_node& rectangle : row.children("rect")) {
      CHECK(rectangle.attribute("x").as_double() >= 0.0);
      CHECK(rectangle.attribute("width").as_double() > 0.0);
      CHECK(rectangle.attribute("x").as_double() + rectangle.attribute("width").as_double() <= width);
    }
  }
}

TEST_CASE("a block is as wide as its share of the step") {
  // Stage 0 works for 2 s of 5; an edge of at most a pixel tells it from its neighbour.
  const HandMade made = sender_and_receiver();
  const pugi::xml_document document = parsed(timeline_svg("step", made.program, made.timeline));
  const pugi::xml_node row = rows_of(document).front();
  const double lane = row.child("rect").attribute("width").as_double();
  const auto blocks = blocks_of(row);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].attribute("width").as_double() == doctest::Approx(lane * 2.0 / 5.0).epsilon(0.005));
}

TEST_CASE("a block has the colour of its pass, whatever its kernels are called") {
  HandMade made = sender_and_receiver();
  const auto colour = [&made] {
    const pugi::xml_document document = parsed(timeline_svg("step", made.program, made.timeline));
    return std::string(blocks_of(rows_of(document).front()).front().attribute("fill").value());
  };
  made.program.names[0] = "head backward";
  made.program.classes[0].operations[0].pass = PassKind::kForward;
  const std::string forward = colour();
  for (const PassKind pass : {PassKind::kBackward, PassKind::kInputGradient, PassKind::kWeightGradient}) {
    made.program.classes[0].operations[0].pass = pass;
    CHECK(colour() != forward);
  }
}

TEST_CASE("runs of kernels of one pass are one block, those of another micro-batch are not") {
  HandMade made = sender_and_receiver();
  RankProgram& receiver = made.program.classes[1];
  REQUIRE(blocks_of(rows_of(parsed(timeline_svg("step", made.program, made.timeline)))[1]).size() == 1);
  receiver.operations[2].micro_batch = 8;
  CHECK(blocks_of(rows_of(parsed(timeline_svg("step", made.program, made.timeline)))[1]).size() == 2);
}

}  // namespace test_timeline_svg
