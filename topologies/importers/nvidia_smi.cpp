// `nvidia-smi topo -m`: a matrix of what lies between any two devices. X is the device itself, NV# a bundle of #
// NVLinks, PIX and PXB PCIe bridges, PHB and NODE the same socket, SYS another one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>
#include <sstream>
#include <vector>

#include "sim/base/error.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/node_document.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 6> kWords = {"X", "PIX", "PXB", "PHB", "NODE", "SYS"};
constexpr int kMostNvLinks = 18;  // of one GPU so far: more than that in total means a switch. Source: H100, B200

struct Matrix {
  std::vector<std::string> names;               // GPU0.., NIC0.. or mlx5_0..
  std::vector<std::vector<std::string>> cells;  // by row
  std::size_t gpus = 0;
};

[[noreturn]] void fail_line(const std::string& file, std::size_t line, std::string found, std::string allowed) {
  throw UserError({.file = file,
                   .pointer = fmt::format("line {}", line),
                   .found = std::move(found),
                   .allowed = std::move(allowed),
                   .problem = "this line of the topology matrix was not understood",
                   .remedy = "paste the output of `nvidia-smi topo -m` as it is"});
}

// The terminal underlines the header by escape sequences.
std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') {
        ++i;
      }
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

bool is_gpu(std::string_view name) {
  return name.starts_with("GPU") && name.size() > 3 && name[3] >= '0' && name[3] <= '9';
}

std::optional<int> nvlinks_in(std::string_view cell) {
  int count = 0;
  if (!cell.starts_with("NV")) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(cell.data() + 2, cell.data() + cell.size(), count);
  return error == std::errc() && end == cell.data() + cell.size() && count > 0 ? std::optional(count) : std::nullopt;
}

Matrix read_matrix(std::string_view text, const std::string& file) {
  Matrix matrix;
  std::istringstream stream(without_escapes(text));
  std::size_t number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    const std::vector<std::string> words = words_of(line);
    if (words.empty() || (matrix.names.empty() && !is_gpu(words.front()))) {
      continue;
    }
    if (matrix.names.empty()) {
      for (const std::string& word : words) {
        if (word == "CPU" || word == "NUMA" || word == "GPU") {
          break;  // the affinity columns follow
        }
        matrix.names.push_back(word);
      }
      continue;
    }
    if (matrix.cells.size() == matrix.names.size()) {
      break;  // the legend follows
    }
    const std::string& expected = matrix.names[matrix.cells.size()];
    if (words.front() != expected || words.size() < matrix.names.size() + 1) {
      fail_line(file, number, line, fmt::format("a row of {} with {} cells", expected, matrix.names.size()));
    }
    std::vector<std::string> cells(words.begin() + 1,
                                   words.begin() + 1 + static_cast<std::ptrdiff_t>(matrix.names.size()));
    for (const std::string& cell : cells) {
      if (std::find(kWords.begin(), kWords.end(), cell) == kWords.end() && !nvlinks_in(cell)) {
        fail_line(file, number, cell, "X, NV#, PIX, PXB, PHB, NODE or SYS");
      }
    }
    matrix.cells.push_back(std::move(cells));
  }
  if (matrix.names.empty() || matrix.cells.size() != matrix.names.size()) {
    fail_line(file, number, fmt::format("{} of {} rows", matrix.cells.size(), matrix.names.size()), "one row a device");
  }
  matrix.gpus = static_cast<std::size_t>(std::count_if(matrix.names.begin(), matrix.names.end(), is_gpu));
  return matrix;
}

// Numbers the classes of devices that cells of the given words (or NVLink over them) join.
std::vector<int> classes_of(const Matrix& matrix, std::span<const std::string_view> joining) {
  std::vector<int> group(matrix.names.size());
  std::iota(group.begin(), group.end(), 0);
  for (std::size_t a = 0; a < group.size(); ++a) {
    for (std::size_t b = 0; b < group.size(); ++b) {
      if (std::find(joining.begin(), joining.end(), matrix.cells[a][b]) != joining.end() && group[a] != group[b]) {
        const int gone = std::max(group[a], group[b]);
        const int kept = std::min(group[a], group[b]);
        std::replace(group.begin(), group.end(), gone, kept);
      }
    }
  }
  std::vector<int> order;
  for (int& g : group) {
    if (std::find(order.begin(), order.end(), g) == order.end()) {
      order.push_back(g);
    }
    g = static_cast<int>(std::find(order.begin(), order.end(), g) - order.begin());
  }
  return group;
}

void add_nvlinks(NodeDocument& document, const Matrix& matrix, const std::vector<int>& vertex, const LikeRates& rates,
                 NodeTraits& traits) {
  int total = 0;
  int bundle = 0;
  for (std::size_t b = 1; b < matrix.gpus; ++b) {
    const int links = nvlinks_in(matrix.cells[0][b]).value_or(0);
    total += links;
    bundle = std::max(bundle, links);
  }
  if (bundle == 0) {
    return;
  }
  const bool switched = total > kMostNvLinks || (matrix.gpus > 2 && total > bundle && bundle >= 12);
  traits.scale_up = switched ? ScaleUp::kSwitch : ScaleUp::kMesh;
  traits.scale_up_links = switched ? bundle : total;
  if (switched) {
    const int plane = document.add_vertex(VertexKind::kNvSwitch);
    for (std::size_t g = 0; g < matrix.gpus; ++g) {
      document.add_link(vertex[g], plane, LinkKind::kNvLink, rates.nvlink * bundle, rates.nvlink_latency / 2.0);
    }
    return;
  }
  for (std::size_t a = 0; a < matrix.gpus; ++a) {
    for (std::size_t b = a + 1; b < matrix.gpus; ++b) {
      if (const auto links = nvlinks_in(matrix.cells[a][b])) {
        document.add_link(vertex[a], vertex[b], LinkKind::kNvLink, rates.nvlink * *links, rates.nvlink_latency);
      }
    }
  }
}

}  // namespace

ClusterSpec import_nvidia_smi(std::string_view text, const std::string& file, const ClusterSpec& like) {
  const Matrix matrix = read_matrix(text, file);
  const LikeRates rates = rates_of(like);
  constexpr std::array<std::string_view, 3> kSameSwitch = {"X", "PIX", "PXB"};
  constexpr std::array<std::string_view, 5> kSameSocket = {"X", "PIX", "PXB", "PHB", "NODE"};
  const std::vector<int> switches = classes_of(matrix, kSameSwitch);
  const std::vector<int> sockets = classes_of(matrix, kSameSocket);
  NodeDocument document;
  std::vector<int> vertex;
  for (std::size_t d = 0; d < matrix.names.size(); ++d) {
    vertex.push_back(document.add_vertex(is_gpu(matrix.names[d]) ? VertexKind::kGpu : VertexKind::kNic));
  }
  NodeTraits traits{.scale_up = ScaleUp::kPcie,
                    .scale_up_link_bandwidth = like.node.scale_up_link_bandwidth,
                    .scale_up_link_payload = rates.nvlink,
                    .pcie_bandwidth = rates.pcie,
                    .nics = static_cast<int>(matrix.names.size() - matrix.gpus),
                    .nic_bandwidth = rates.nic};
  add_nvlinks(document, matrix, vertex, rates, traits);
  // NVLink hides the PCIe relation of two GPUs, so that a NIC may be the only witness of a common switch.
  const int socket_count = *std::max_element(sockets.begin(), sockets.end()) + 1;
  std::vector<int> cpu;
  for (int s = 0; s < socket_count; ++s) {
    cpu.push_back(document.add_vertex(VertexKind::kCpu));
    for (int other = 0; other < s; ++other) {
      document.add_link(cpu[static_cast<std::size_t>(other)], cpu.back(), LinkKind::kCpuInterconnect,
                        rates.between_sockets, rates.pcie_latency);
    }
  }
  std::vector<int> bridge(static_cast<std::size_t>(*std::max_element(switches.begin(), switches.end()) + 1), -1);
  for (std::size_t d = 0; d < matrix.names.size(); ++d) {
    int& id = bridge[static_cast<std::size_t>(switches[d])];
    if (id < 0) {
      id = document.add_vertex(VertexKind::kPcieSwitch);
      document.add_link(id, cpu[static_cast<std::size_t>(sockets[d])], LinkKind::kPcie, rates.pcie, rates.pcie_latency);
    }
    document.add_link(vertex[d], id, LinkKind::kPcie, rates.pcie, rates.pcie_latency);
  }
  return document.finish(file, like, traits);
}

ClusterSpec import_topology(std::string_view text, const std::string& file, const ClusterSpec& like) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool xml = first != std::string_view::npos && text[first] == '<';
  return xml ? import_nccl_xml(text, file, like) : import_nvidia_smi(text, file, like);
}

}  // namespace trainyard
