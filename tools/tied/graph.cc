#include "tools/tied/graph.h"

#include "base/printable.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

// "Embedding * 32", "Head + bias, TopkIds 5".
std::string Operation(const Json& op) {
  std::string text = op["kind"];
  if (op.contains("scale") && op["scale"] != 1.0) text += " * " + op["scale"].dump();
  if (op.value("bias", false)) text += " + bias";
  if (op.value("soft_cap", 0.0) != 0) text += ", soft cap " + op["soft_cap"].dump();
  if (op.value("log_softmax", false)) text += ", LogSoftmax";
  if (op.contains("k")) text += ", " + op["result"].get<std::string>() + " " + op["k"].dump();
  return text;
}

std::string Shape(const Json& table) { return table["type"].get<std::string>() + " " + TableShapeText(table); }

std::string Selectors(const Json& entry_point) {
  std::string text;
  for (const Json& selector : entry_point["selectors"]) {
    text += (text.empty() ? "" : ", ") + selector["input"].get<std::string>() + " = " + selector["value"].dump();
  }
  return text;
}

// Quotes text for Graphviz.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return Printable(quoted) + '"';
}

std::string Name(const Json& name) { return Printable(name.get<std::string>()); }

std::string Lines(const Json& origin) {
  std::string text;
  for (const Json& node : origin) text += "\n" + node.get<std::string>();
  return text;
}

}  // namespace

std::string TableShapeText(const Json& table) {
  const std::string shape = "[" + table["rows"].dump() + ", " + table["cols"].dump() + "]";
  return table["rows"] == table["vocabulary"] ? shape : shape + " of " + table["vocabulary"].dump() + " ids";
}

void DrawText(const Json& model, std::ostream& out) {
  for (const Json& table : model["tables"]) out << Name(table["name"]) << "  " << Shape(table) << '\n';
  const bool several = model["tables"].size() > 1;
  for (const Json& entry_point : model["entry_points"]) {
    const std::string selectors = Printable(Selectors(entry_point));
    out << "│\n├─ " << Name(entry_point["name"]) << (selectors.empty() ? "" : "  if " + selectors) << '\n';
    for (const Json& op : entry_point["ops"]) {
      const std::string input = op.contains("input") ? Name(op["input"]) + " ─▶ " : "";
      const std::string table = several && op.contains("table") ? " with " + Name(op["table"]) : "";
      out << "│    " << input << Operation(op) << table << " ─▶ " << Name(op["output"]) << '\n';
      for (const Json& node : op["origin"]) out << "│         was " << Name(node) << '\n';
    }
  }
}

void DrawDot(const Json& model, std::ostream& out) {
  out << "digraph tied {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n";
  for (const Json& table : model["tables"]) {
    const std::string name = table["name"];
    out << "  " << Quoted("table " + name) << " [shape=cylinder, label=" << Quoted(name + "\n" + Shape(table))
        << "];\n";
  }
  for (const char* side : {"input", "output"}) {
    for (const Json& value : model[std::string(side) + "s"]) {
      const std::string name = value["name"];
      out << "  " << Quoted(side + (" " + name)) << " [shape=ellipse, label=" << Quoted(name) << "];\n";
    }
  }
  size_t entries = 0, ops = 0;
  for (const Json& entry_point : model["entry_points"]) {
    const std::string selectors = Selectors(entry_point);
    const std::string name = entry_point["name"];
    out << "  subgraph cluster_" << entries++
        << " {\n    label=" << Quoted(selectors.empty() ? name : name + "\n" + selectors) << ";\n";
    std::string edges;
    for (const Json& op : entry_point["ops"]) {
      const std::string id = "op" + std::to_string(ops++);
      out << "    " << id << " [shape=box, label=" << Quoted(Operation(op) + Lines(op["origin"])) << "];\n";
      if (op.contains("table")) edges += "  " + Quoted("table " + op["table"].get<std::string>()) + " -> " + id + ";\n";
      if (op.contains("input")) edges += "  " + Quoted("input " + op["input"].get<std::string>()) + " -> " + id + ";\n";
      edges += "  " + id + " -> " + Quoted("output " + op["output"].get<std::string>()) + ";\n";
    }
    out << "  }\n" << edges;
  }
  out << "}\n";
}

}  // namespace tied::cli
