#include <doctest/doctest.h>

#include "topologies/topology_drawing.hpp"
#include "topologies/topology_report.hpp"

using namespace trainyard;

namespace test_topology_report {

TEST_CASE("the bisection of a full fat tree is half of its NICs") {
  const Fabric fabric = build_fabric(load_cluster("dgx-h100"), 128);
  // 64 NICs of 50 GB/s, 97 % of it payload; the two halves are joined by nothing else.
  CHECK(bisection(fabric).capacity.value == doctest::Approx(64 * 50e9 * 0.97));
}

TEST_CASE("oversubscription shows in the bisection and is the bottleneck") {
  const ClusterSpec cluster = load_cluster("leaf-spine-4to1-h100");
  const Fabric fabric = build_fabric(cluster, 128);
  const Cut cut = bisection(fabric);
  CHECK(cut.capacity.value == doctest::Approx(64 * 50e9 * 0.97 / 4.0));
  for (const LinkId id : cut.links) {
    CHECK(fabric.vertex(fabric.link(id).from).kind == VertexKind::kLeaf);
  }
  const TopologyReport report = report_topology(cluster, fabric);
  CHECK(report.json["oversubscription"].get<double>() == doctest::Approx(4.0));
}

TEST_CASE("the cut of a hybrid cube mesh is four bundles and the socket link") {
  // Between GPUs 0-3 and 4-7: 0-4 and 1-5 with two links, 2-6 and 3-7 with one: six of 25 GB/s at 93 %, and 9.6 GB/s at
  // 62.5 % between the sockets.
  const Fabric fabric = build_fabric(load_cluster("dgx-1-v100"), 8);
  CHECK(bisection(fabric).capacity.value == doctest::Approx(6 * 25e9 * 0.93 + 9.6e9 * 0.625));
}

TEST_CASE("the bisection of a torus counts the cables across it") {
  // 4 x 4 x 4 cut across one dimension: 16 rings crossed twice.
  const Fabric fabric = build_fabric(load_cluster("tpu-v4-pod"), 64);
  CHECK(bisection(fabric).capacity.value == doctest::Approx(32 * 50e9 * 0.9));
  CHECK(diameter(fabric) == 6);
}

TEST_CASE("the wide-area link bounds two sites") {
  const Fabric fabric = build_fabric(load_cluster("two-sites-h100"), 64);
  CHECK(bisection(fabric).capacity.value == doctest::Approx(50e9));
  CHECK(describe_path(fabric, {0}, {63}).latency.value > 500e-6);
}

TEST_CASE("a drawing has one circle for each vertex and is well-formed at its ends") {
  const Fabric fabric = build_fabric(load_cluster("dgx-h100"), 16);
  const std::string svg = draw_fabric(fabric);
  std::size_t circles = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) {
    ++circles;
  }
  CHECK(circles == fabric.vertices().size());
  CHECK(svg.starts_with("<svg"));
  CHECK(svg.ends_with("</svg>\n"));
}

}  // namespace test_topology_report
