#include "native/convert.h"

#include <optional>
#include <string>

#include "converter/convert.h"
#include "native/calls.h"
#include "native/report.h"

namespace tied::python {

namespace nb = nanobind;
// clang-tidy 14 does not see uses of literals: NOLINTNEXTLINE(misc-unused-using-decls)
using nanobind::literals::operator""_a;
using converter::NumberFormat;
using converter::TableOptions;
using converter::Tie;

namespace {

// The text of bytes: a path, or a name in a model.
std::string String(const nb::handle& bytes) {
  const auto text = nb::cast<nb::bytes>(bytes);
  return {text.c_str(), text.size()};
}

// tied/convert.py passes only names that are here.
constexpr std::pair<const char*, NumberFormat> kFormats[] = {
    {"auto", NumberFormat::kAuto},       {"float32", NumberFormat::kFloat32},
    {"float16", NumberFormat::kFloat16}, {"bfloat16", NumberFormat::kBFloat16},
    {"int8", NumberFormat::kInt8},       {"int8-blocks", NumberFormat::kInt8Blocks},
    {"int4", NumberFormat::kInt4}};
constexpr std::pair<const char*, Tie> kTies[] = {
    {"none", Tie::kNone}, {"finer", Tie::kFiner}, {"embedding", Tie::kEmbedding}, {"head", Tie::kHead}};

template <typename Value, size_t kCount>
Value ValueOf(const std::string& name, const std::pair<const char*, Value> (&values)[kCount], const char* what) {
  std::string known;
  for (const auto& [key, value] : values) {
    if (name == key) return value;
    known += known.empty() ? key : std::string(", ") + key;
  }
  throw nb::value_error((std::string(what) + " is '" + name + "'; it must be one of " + known).c_str());
}

TableOptions TablesOf(const nb::dict& options) {
  TableOptions tables;
  tables.format = ValueOf(String(options["dtype"]), kFormats, "dtype");
  tables.tie = ValueOf(String(options["tie"]), kTies, "tie");
  tables.screen = nb::cast<bool>(options["screen"]);
  tables.calibrate = String(options["calibrate"]);
  tables.hidden = String(options["recorded"]);
  tables.keep_ids = String(options["keep_ids"]);
  tables.drop_ids = String(options["drop_ids"]);
  tables.allow_untied = nb::cast<bool>(options["allow_untied"]);
  tables.check = nb::cast<bool>(options["check"]);
  return tables;
}

// Runs `convert` without the GIL. Its progress lets Python handle signals and calls `progress`, if that is not None; an
// exception of either ends the conversion and is thrown.
template <typename Options, typename Call>
nb::dict RunConversion(Options* options, const nb::object& progress, const Call& convert) {
  const RunningCall running(nullptr);
  options->tables.progress = [&](const char* step, uint64_t done, uint64_t total) {
    const nb::gil_scoped_acquire acquired;
    HandleSignals();
    if (!progress.is_none()) progress(step, done, total);
  };
  const auto run = [&] {
    const nb::gil_scoped_release released;
    return convert(*options);
  };
  return DictOf(run());
}

nb::dict Convert(const nb::bytes& model, const nb::bytes& output, const nb::dict& tables, const nb::dict& choice,
                 const nb::object& progress) {
  converter::ConvertOptions options;
  options.model = String(model);
  options.output = String(output);
  options.tables = TablesOf(tables);
  options.choice.table = String(choice["table"]);
  options.choice.scale = String(choice["scale"]);
  options.choice.bias = String(choice["bias"]);
  options.choice.logit_scale = nb::cast<double>(choice["logit_scale"]);
  options.choice.soft_cap = nb::cast<double>(choice["soft_cap"]);
  return RunConversion(&options, progress, converter::Convert);
}

nb::dict Split(const nb::list& exports, const nb::bytes& folder, const nb::dict& names, const nb::dict& tables,
               const nb::object& progress) {
  converter::SplitOptions options;
  for (const nb::handle& path : exports) options.exports.push_back(String(path));
  options.folder = String(folder);
  options.ids = String(names["ids"]);
  options.logits = String(names["logits"]);
  options.hidden = String(names["hidden"]);
  options.tables = TablesOf(tables);
  return RunConversion(&options, progress, converter::Split);
}

}  // namespace

void DefineConvert(nb::module_* module) {
  module->def("convert", Convert, "model"_a, "output"_a, "tables"_a, "choice"_a, "progress"_a.none());
  module->def("split", Split, "exports"_a, "folder"_a, "names"_a, "tables"_a, "progress"_a.none());
}

}  // namespace tied::python
