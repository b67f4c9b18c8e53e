#pragma once
// Two loads of one GPU at once: how much each is slowed down by the other.
#include <functional>
#include <string>

#include "validation/microbench/cuda/part.cuh"

namespace trainyard::microbench {

// Something that runs for as long as asked, unit after unit.
struct Load {
  std::string name;
  cudaStream_t stream;
  std::function<void()> enqueue;  // one unit
  double unit_work = 0.0;         // bytes moved, or FLOPs, of one unit; zero: not told
};

// A load whose unit is a captured batch of calls.
struct GraphLoad {
  GraphLoad(std::string name, const Enqueue& enqueue, double unit_work = 0.0);
  Stream stream;
  Batch batch;
  Load load;
};

// Writes an "overlap" record of both loads alone and beside one another; `extra` are further keys of it.
void measure_overlap(Part& part, const Load& first, const Load& second, const Json& extra = Json::object());

// bf16 GEMMs of 2048, 4096 and 8192, in graphs of four.
class GemmLoads {
 public:
  explicit GemmLoads();
  ~GemmLoads();
  std::size_t size() const;
  const Load& operator[](std::size_t index) const;

 private:
  struct Members;
  std::unique_ptr<Members> members_;
};

}  // namespace trainyard::microbench
