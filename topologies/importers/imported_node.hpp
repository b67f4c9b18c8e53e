#pragma once
// What both formats come to: a PCIe tree with GPUs and NICs in it, and bundles of links between GPUs.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

// Where a device hangs: under a PCIe switch, or (bridge < 0) at the socket of its domain.
struct ImportPlace {
  int bridge = -1;
  int domain = 0;                      // index of a NUMA node
  std::optional<BytesPerSecond> slot;  // nominal, where the file says it
};

struct ImportDomain {
  int host = 0;     // index
  int number = 0;   // NUMA node as the file numbers it, or a rank among those it tells apart
  int numbers = 0;  // how many the machine has at least; 0: as many as it tells apart
};

struct ImportedNode {
  struct Gpu {
    std::string name;
    ImportPlace place;
    int to_switch = 0;  // links to a plane of switches
    int plane = 0;
    std::optional<BytesPerSecond> to_socket;  // payload of direct links to the socket (NVLink-C2C, POWER's NVLink)
  };
  struct Nic {
    std::string name;
    ImportPlace place;
    std::optional<BytesPerSecond> rate;  // nominal, of all its ports
    int ports = 1;
  };
  struct Bundle {
    int a = 0;
    int b = 0;  // a < b
    int links = 0;
  };
  std::vector<ImportPlace> bridges;  // parents before children
  std::vector<Gpu> gpus;
  std::vector<Nic> nics;  // those that collectives use
  std::vector<Bundle> bundles;
  std::vector<ImportDomain> domains;
  bool says_scale_up = true;  // false: the file has no word about links between GPUs
  bool says_nics = true;      // false: nor about NICs
  std::string cpu_vendor;     // empty: not stated
  std::vector<std::string> notes;
};

// "GPU0, GPU1 and GPU3"
std::string listed(const std::vector<std::string>& names);

}  // namespace trainyard
