#include "sim/engine/simgrid_module.hpp"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

#include "sim/base/signals.hpp"

#if defined(__SANITIZE_ADDRESS__)
// SimGrid frees neither its engine nor what its actors last held when the process ends; those are not our leaks.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libsimgrid";
}
#endif

namespace trainyard {
namespace {

// Symbols are bound when they are first called: a tenth of SimGrid's libraries is ever used.
void* load_module() {
  void* module = ::dlopen(TRAINYARD_SIMGRID_MODULE, RTLD_LAZY | RTLD_LOCAL);
  if (module == nullptr) {
    throw std::runtime_error(std::string("cannot load the part that speaks to SimGrid: ") + ::dlerror());
  }
  return module;
}

}  // namespace

SimgridOutcome run_in_simgrid(const SimgridStep& step) {
  using Simulate = void (*)(const SimgridStep&, void (*)(), SimgridOutcome&);
  static void* const module = load_module();
  const auto simulate =
      reinterpret_cast<Simulate>(::dlsym(module, "trainyard_simulate_in_simgrid"));  // NOLINT: as dlsym(3) asks
  if (simulate == nullptr) {
    throw std::runtime_error(TRAINYARD_SIMGRID_MODULE " is not this build's");
  }
  SimgridOutcome outcome;
  simulate(step, restore_signals, outcome);  // SimGrid takes interrupts for itself when its engine starts
  return outcome;
}

}  // namespace trainyard
