#include <doctest/doctest.h>

#include "sim/base/installed.hpp"

using namespace trainyard;

namespace test_installed {

TEST_CASE("a program that was built and not installed has no tree of its own") {
  CHECK_FALSE(installed_path("share/trainyard"));
  CHECK_FALSE(installed_path(""));  // this program's folder is not called bin
}

}  // namespace test_installed
