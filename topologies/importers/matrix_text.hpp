#pragma once
// The text that `nvidia-smi topo -m` prints, as people paste it.
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

struct TopologyMatrix {
  std::vector<std::string> names;               // GPU0.., then NIC0.. or mlx5_0..
  std::vector<std::string> labels;              // what the legend calls them; the name where there is none
  std::vector<std::vector<std::string>> cells;  // [row][column]: X, NV#, PIX, PXB, PHB, NODE or SYS; symmetric
  std::vector<std::string> numa;                // of every GPU: "0", "0,2-17"; empty where it is not printed
  std::vector<std::string> cpus;                // "0-47,96-143"; likewise
  std::size_t gpus = 0;                         // they come first
  std::vector<std::string> notes;
};

// How many NVLinks a cell says; 0 for other cells.
int nvlinks_in(std::string_view cell);

// Takes escape sequences (whole, or with the escape character lost), other text before and after, rows that were
// wrapped between cells, and rows shifted by empty columns. Throws UserError naming `file` and the line.
TopologyMatrix read_topology_matrix(std::string_view text, const std::string& file);

}  // namespace trainyard
