#pragma once
// The elements of an NCCL topology file, with their texts read and checked.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

struct NcclSystem {
  struct Cpu {
    std::string host;  // host_hash; empty where the file is of one host
    int numa = 0;
    std::string arch;
    std::string vendor;
    std::size_t line = 0;
  };
  // A PCIe switch or bridge; those without devices are kept too.
  struct Bridge {
    int cpu = 0;
    int parent = -1;
    std::optional<BytesPerSecond> slot;  // nominal
  };
  struct Link {
    enum class To { kGpu, kSwitch, kCpu };
    To to = To::kGpu;
    std::string target;  // bus id
    int count = 0;
    std::size_t line = 0;
    bool nvlink = true;  // or xGMI
  };
  struct Gpu {
    std::string bus;
    int cpu = 0;
    int bridge = -1;
    std::optional<BytesPerSecond> slot;
    bool described = false;  // by a <gpu>; otherwise its PCI class alone says what it is
    int dev = -1;
    int sm = 0;  // compute capability; of AMD's GPUs other things
    bool amd = false;
    std::string device;  // PCI device id
    std::vector<Link> links;
    std::optional<BytesPerSecond> chip_to_chip;  // nominal
    std::size_t line = 0;
  };
  struct Net {
    std::string name;
    int cpu = 0;
    int bridge = -1;
    int card = -1;  // ports of one PCI device have the same; -1: no PCI device
    std::optional<BytesPerSecond> slot;
    std::optional<BytesPerSecond> rate;
    bool described = false;  // by a <net>
  };
  std::vector<Cpu> cpus;
  std::vector<Bridge> bridges;  // parents before children
  std::vector<Gpu> gpus;
  std::vector<Net> nets;
  std::vector<std::string> notes;
};

// Throws UserError naming `file` and the line.
NcclSystem read_nccl_system(std::string_view text, const std::string& file);

}  // namespace trainyard
