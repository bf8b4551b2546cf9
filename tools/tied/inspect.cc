#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>

#include "tools/tied/commands.h"
#include "tools/tied/graph.h"
#include "tools/tied/options.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

// The number with the fewest digits that is this float32: 5.656854, not 5.656854152679443.
double Shortest(float value) {
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(value));
    if (std::strtof(text, nullptr) == value) break;
  }
  return std::strtod(text, nullptr);
}

std::string HashText(uint64_t hash) {
  char text[24];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

Json ValueJson(const tied_value_info& value) {
  Json dims = Json::array();
  for (size_t i = 0; i < value.rank; ++i) {
    if (value.dims[i] >= 0) {
      dims.push_back(value.dims[i]);
    } else {
      dims.push_back(value.symbols[i][0] == '\0' ? "?" : value.symbols[i]);
    }
  }
  return {{"name", value.name}, {"type", TypeText(value.type)}, {"shape", dims}};
}

Json TableJson(const tied_table_info& table) {
  Json json = {{"name", table.name},
               {"type", TypeText(table.type)},
               {"rows", table.rows},
               {"cols", table.cols},
               {"vocabulary", table.vocabulary}};
  if (table.scales.length > 0) json["scale_type"] = TypeText(table.scale_type);
  const std::pair<const char*, const tied_plane_info*> planes[] = {
      {"values", &table.values},
      {"scales", &table.scales},
      {"zero_points", &table.zero_points},
      {"screen_upper", &table.screen_upper},
      {"screen_lower", &table.screen_lower},
      {"screen_scales", &table.screen_scales},
      {"screen_upper_norms", &table.screen_upper_norms},
      {"screen_norms", &table.screen_norms},
      {"screen_column_values", &table.screen_column_values},
      {"screen_column_scales", &table.screen_column_scales},
      {"ids", &table.ids}};
  for (const auto& [name, plane] : planes) {
    if (plane->length == 0) continue;
    json["planes"][name] = {{"offset", plane->offset}, {"length", plane->length}, {"hash", HashText(plane->hash)}};
  }
  return json;
}

Json OpJson(const Model& model, const tied_op_info& op) {
  const std::string kind = op.kind;
  Json json = {{"kind", kind}};
  if (kind != "Constant") {
    json["table"] = model.Table(op.table).name;
    json["input"] = model.Input(op.input).name;
  }
  json["output"] = model.Output(op.output).name;
  json["origin"] = Json::array();
  std::istringstream origin(op.origin);
  for (std::string node; std::getline(origin, node);) json["origin"].push_back(node);
  if (kind == "Embedding") json["scale"] = Shortest(op.scale);
  if (kind == "Head") {
    json["bias"] = op.has_bias != 0;
    json["scale"] = Shortest(op.scale);
    json["soft_cap"] = Shortest(op.soft_cap);
    json["result"] = op.result;
    json["log_softmax"] = op.log_softmax != 0;
    if (op.k > 0) json["k"] = op.k;
  }
  return json;
}

Json EntryPointJson(const Model& model, size_t index) {
  const tied_entry_point_info info = model.EntryPoint(index);
  Json selectors = Json::array();
  for (size_t i = 0; i < info.selector_count; ++i) {
    const tied_selector_info selector = model.Selector(index, i);
    selectors.push_back({{"input", model.Input(selector.input).name}, {"value", selector.value != 0}});
  }
  Json ops = Json::array();
  for (size_t i = 0; i < info.op_count; ++i) ops.push_back(OpJson(model, model.Op(index, i)));
  return {{"name", info.name}, {"selectors", selectors}, {"ops", ops}};
}

// The description of a model, which is printed as JSON or as tables.
Json ModelJson(const std::string& path, const Model& model) {
  const tied_model_info info = model.Info();
  Json json = {{"model", path},
               {"format_version", info.format_version},
               {"file_bytes", info.file_bytes},
               {"producer", info.producer},
               {"source", info.source},
               {"graph", info.graph}};
  json["tables"] = json["inputs"] = json["outputs"] = json["entry_points"] = Json::array();
  for (size_t i = 0; i < info.table_count; ++i) json["tables"].push_back(TableJson(model.Table(i)));
  for (size_t i = 0; i < info.input_count; ++i) json["inputs"].push_back(ValueJson(model.Input(i)));
  for (size_t i = 0; i < info.output_count; ++i) json["outputs"].push_back(ValueJson(model.Output(i)));
  for (size_t i = 0; i < info.entry_point_count; ++i) json["entry_points"].push_back(EntryPointJson(model, i));
  return json;
}

std::string Text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

std::string DimsText(const Json& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i == 0 ? "" : ", ") + Text(dims[i]);
  return text + "]";
}

std::string OpText(const Json& op) {
  std::string text = Text(op["output"]) + " = ";
  if (op["kind"] == "Constant") return text + "Constant";
  text += Text(op["kind"]) + "(" + Text(op["table"]) + ", " + Text(op["input"]) + ")";
  if (op.contains("scale") && op["scale"] != 1.0) text += " * " + Text(op["scale"]);
  if (op.value("bias", false)) text += " + bias";
  if (op.value("soft_cap", 0.0) != 0) text += ", soft cap " + Text(op["soft_cap"]);
  if (op.value("log_softmax", false)) text += ", LogSoftmax";
  if (op.contains("k")) text += ", " + Text(op["result"]) + " of " + Text(op["k"]);
  return text;
}

void PrintValues(const char* title, const Json& values) {
  Table table({{title}, {"type"}, {"shape"}});
  for (const Json& value : values) table.AddRow({Text(value["name"]), Text(value["type"]), DimsText(value["shape"])});
  std::cout << '\n';
  table.Print(std::cout);
}

void PrintTables(const Json& tables) {
  constexpr Table::Align kRight = Table::Align::kRight;
  Table table({{"table"}, {"type"}, {"shape"}, {"plane"}, {"offset", kRight}, {"length", kRight}, {"xxh3-64", kRight}});
  for (const Json& row : tables) {
    std::string name = Text(row["name"]), type = Text(row["type"]), shape = TableShapeText(row);
    for (const auto& [plane, place] : row["planes"].items()) {
      table.AddRow({name, type, shape, plane, Text(place["offset"]), Text(place["length"]), Text(place["hash"])});
      name = type = shape = "";
    }
  }
  std::cout << '\n';
  table.Print(std::cout);
}

void PrintEntryPoints(const Json& entry_points) {
  Table table({{"entry point"}, {"chosen by"}, {"computes"}});
  for (const Json& entry : entry_points) {
    std::string selectors;
    for (const Json& selector : entry["selectors"]) {
      selectors += (selectors.empty() ? "" : ", ") + Text(selector["input"]) + " = " + Text(selector["value"]);
    }
    if (selectors.empty()) selectors = "name";
    std::string name = Text(entry["name"]);
    for (const Json& op : entry["ops"]) {
      table.AddRow({name, selectors, OpText(op)});
      name = selectors = "";
    }
  }
  std::cout << '\n';
  table.Print(std::cout);
}

struct InspectOptions : CommonOptions {
  std::string graph;
};

void Inspect(const InspectOptions& options) {
  const Model model = Model::Open(options.model);
  const Json json = ModelJson(options.model, model);
  if (options.json) return PrintJson(json);
  if (options.graph == "text") return DrawText(json, std::cout);
  if (options.graph == "dot") return DrawDot(json, std::cout);
  const auto or_dash = [](const Json& value) { return Text(value).empty() ? "-" : Text(value); };
  Table head({{""}, {""}});
  head.AddRow({"file", options.model});
  head.AddRow({"size", BytesText(json["file_bytes"].get<uint64_t>())});
  head.AddRow({"format version", Text(json["format_version"])});
  head.AddRow({"producer", or_dash(json["producer"])});
  head.AddRow({"source", or_dash(json["source"])});
  head.AddRow({"graph", or_dash(json["graph"])});
  head.Print(std::cout);
  PrintValues("input", json["inputs"]);
  PrintValues("output", json["outputs"]);
  PrintTables(json["tables"]);
  PrintEntryPoints(json["entry_points"]);
}

}  // namespace

void AddInspect(CLI::App& program) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* command = program.add_subcommand("inspect", "Show the content of a .tied file");
  AddModel(command, options.get());
  AddJson(command, options.get());
  command->add_option("--graph", options->graph, "Draw the model as text, or as dot for Graphviz")
      ->check(CLI::IsMember({"text", "dot"}))
      ->excludes("--json");
  command->callback([options] { Inspect(*options); });
}

}  // namespace tied::cli
