#include "sim/engine/simgrid_module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "sim/base/installed.hpp"
#include "sim/base/signals.hpp"

#if defined(__SANITIZE_ADDRESS__)
// SimGrid frees neither its engine nor what its actors last held when the process ends; those are not our leaks.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libsimgrid";
}
#endif

namespace trainyard {
namespace fs = std::filesystem;
namespace {

// TRAINYARD_SIMGRID_MODULE of the environment, else that of an installed program, else the one that was built.
std::string module_path() {
  if (const char* path = std::getenv("TRAINYARD_SIMGRID_MODULE"); path != nullptr && *path != '\0') {
    return path;
  }
  const fs::path built = TRAINYARD_SIMGRID_MODULE;
  return installed_path("lib/trainyard/" + built.filename().string()).value_or(built).string();
}

// Symbols are bound when they are first called: a tenth of SimGrid's libraries is ever used.
void* load_module() {
  void* module = ::dlopen(module_path().c_str(), RTLD_LAZY | RTLD_LOCAL);
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
    throw std::runtime_error(module_path() + " is not this build's");
  }
  SimgridOutcome outcome;
  simulate(step, restore_signals, outcome);  // SimGrid takes interrupts for itself when its engine starts
  return outcome;
}

}  // namespace trainyard
