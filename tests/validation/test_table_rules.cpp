#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "sim/base/files.hpp"
#include "sim/scenario/framework.hpp"
#include "validation/table_rules.hpp"

namespace trainyard {
namespace {

// A table named as a published one, whose rows are those of `lines`.
CsvTable table(const std::string& name, const std::string& lines) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("trainyard_rules_{}", ::getpid());
  std::filesystem::create_directories(folder);
  write_file(folder / (name + ".csv"), lines);
  CsvTable read = CsvTable::read(folder / (name + ".csv"));
  std::filesystem::remove_all(folder);
  return read;
}

Json applied(const CsvTable& rows, std::size_t row) {
  Json scenario = {{"training", Json::object()}, {"framework", "composer-fsdp"}};
  apply_table_rules(rows, row, scenario);
  return scenario;
}

}  // namespace

TEST_CASE("a rule applies to the rows of its table whose columns meet it, and to no other table") {
  const std::string lines = "id,pp,num_gpus,mfu_percent\na,1,16,40\nb,2,8,40\nc,2,16,40\n";
  const CsvTable nanotron = table("runs_nanotron", lines);
  CHECK_FALSE(applied(nanotron, 0)["training"].contains("distributed_debug"));
  CHECK_FALSE(applied(nanotron, 1)["training"].contains("distributed_debug"));
  CHECK(applied(nanotron, 2)["training"]["distributed_debug"] == "detail");
  CHECK_FALSE(applied(table("runs_of_mine", lines), 2)["training"].contains("distributed_debug"));
}

TEST_CASE("a rule may ask for words of a column") {
  const CsvTable rows =
      table("runs_mosaicml_examples",
            "id,notes\na,amp_bf16; fsdp mixed precision DEFAULT; hfu 50\nb,bf16; fsdp mixed precision "
            "PURE; hfu 50\n");
  CHECK(applied(rows, 0)["training"]["param_dtype"] == "fp32");
  CHECK(applied(rows, 1) == Json{{"training", Json::object()}, {"framework", "composer-fsdp"}});
  CHECK_NOTHROW(load_framework(applied(rows, 0)["framework"].get<std::string>()));
}

TEST_CASE("rows are set apart by what they measured alone") {
  const CsvTable rows = table("runs_nanotron", "id,pp,num_gpus,mfu_percent\na,1,128,10\nb,1,128,9.9\nc,1,136,40\n");
  CHECK(reason_apart(rows, 0).empty());
  CHECK_FALSE(reason_apart(rows, 1).empty());
  CHECK(reason_apart(rows, 1) == reason_apart(rows, 2));
  CHECK(reason_apart(table("runs_bigscience", "id,num_gpus,mfu_percent\na,136,1\n"), 0).empty());
}

}  // namespace trainyard
