#include "converter/output/plan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "base/error.h"
#include "converter/graph/trace.h"
#include "converter/output/unite_tables.h"
#include "converter/passes/passes.h"
#include "schema/checked_math.h"
#include "schema/number_format.h"
#include "schema/preamble.h"

namespace tied::converter {

namespace {

constexpr size_t kNumberBytes = 20;  // after a name, to tell it from another

class Planner {
 public:
  Planner(const Graph& graph, const std::string& onnx_path) {
    plan_.source = std::filesystem::path(onnx_path).filename().string();
    plan_.graph = graph.name;
    plan_.inputs = graph.inputs;
    plan_.outputs = graph.outputs;
  }

  void Add(const FlatGraph& path) {
    const Graph folded = Dequantise(FoldConstants(path.graph));
    const Shapes shapes = InferShapes(folded);
    const Graph graph = Canonicalise(folded, shapes);
    PlannedEntryPoint entry_point;
    entry_point.name = path.branch_names.empty() ? graph.name : path.branch_names.back();
    entry_point.selectors = path.selectors;
    for (size_t i = 0; i < graph.results.size(); ++i) {
      entry_point.ops.push_back(Lower(graph, graph.results[i]));
      PlannedOp& op = entry_point.ops.back();
      op.output = i;
      op.origin = TraceNodes(path.graph, path.graph.results[i]);
      origin_bytes_ += op.origin.size();
      if (origin_bytes_ > format::kMaxHeaderLength) throw ConvertError("the names of its nodes are too long");
      const std::string& output = graph.outputs[i].name;
      CheckOutputType(graph.outputs[i], op);
      const SymbolicShape* dims = shapes.Find(folded.results[i]);
      const auto* constant = std::get_if<ConstantOp>(&op.operation);
      if (constant != nullptr && dims != nullptr) op.input = InputOfDims(*dims, output);
      op.output_dims = OutputDims(dims, op, output);
      if (constant != nullptr) CheckElements(*constant, op.output_dims, graph.outputs[i]);
    }
    full_names_.push_back(FullName(path, entry_point.name));
    plan_.entry_points.push_back(std::move(entry_point));
  }

  Plan Finish() {
    NameEntryPoints();
    CheckUse();
    return std::move(plan_);
  }

 private:
  static std::string FullName(const FlatGraph& path, const std::string& last) {
    std::string name;
    for (const std::string& branch : path.branch_names) name += (name.empty() ? "" : "/") + branch;
    return name.empty() ? last : name;
  }

  // Entry points get the names of their branch graphs. If two are equal, names of enclosing branches are added, and if
  // that is not enough, a number.
  void NameEntryPoints() {
    std::set<std::string> names;
    for (const PlannedEntryPoint& entry_point : plan_.entry_points) names.insert(entry_point.name);
    const bool unique = names.size() == plan_.entry_points.size();
    std::set<std::string> taken;
    for (size_t i = 0; i < plan_.entry_points.size(); ++i) {
      std::string name = unique ? plan_.entry_points[i].name : full_names_[i];
      if (name.size() + kNumberBytes > format::kMaxNameBytes) name.clear();
      if (name.empty() || taken.count(name) > 0) name += (name.empty() ? "entry_" : "_") + std::to_string(i);
      taken.insert(name);
      plan_.entry_points[i].name = name;
    }
  }

  PlannedOp Lower(const Graph& graph, const std::string& result) {
    if (const TensorRef* constant = graph.FindConstant(result)) return LowerConstant(*constant);
    const Node* node = graph.FindProducer(result);
    if (node == nullptr) throw ConvertError("output '" + result + "' is an input or is not computed");
    if (node->op == "tied.Fill") return LowerConstant(*node->attributes.at("value").tensor);
    if (node->op == "tied.Gather") return LowerEmbedding(graph, *node);
    if (node->op == "tied.Head") return LowerHead(graph, *node, HeadOp::Result::kLogits);
    if (node->op == "tied.Topk" && graph.FindConstant(node->Input(1)) != nullptr) {
      const bool values = node->outputs[0] == result;
      return LowerHead(graph, *node, values ? HeadOp::Result::kTopkValues : HeadOp::Result::kTopkIds);
    }
    Refuse(graph, *node);
  }

  // Reports the first node that no pass supports: the one nearest to the inputs.
  [[noreturn]] static void Refuse(const Graph& graph, const Node& last) {
    const Node* first = nullptr;
    for (const Node* node = &last; node != nullptr;) {
      first = node;
      node = nullptr;
      for (size_t i = 0; i < first->inputs.size() && node == nullptr; ++i) {
        const Node* producer = graph.FindProducer(first->inputs[i]);
        if (producer != nullptr && producer->op.rfind("tied.", 0) != 0) node = producer;
      }
    }
    throw ConvertError(
        first->Describe() +
        ": is not supported here; an output must come from a Gather on the table, from a product of "
        "a hidden state with the table's transpose, or from ArgMax, TopK or LogSoftmax of such a product "
        "along the vocabulary");
  }

  static std::string AsFloat32(const TensorRef& tensor) {
    const std::vector<float> values = tensor.ReadFloats();
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
  }

  // Stores only one element if all are equal.
  static PlannedOp LowerConstant(const TensorRef& whole) {
    const std::optional<TensorRef> element = OnlyElement(whole);
    const TensorRef& constant = element ? *element : whole;
    if (ElementSize(constant.type) == 0 || constant.quantisation != nullptr ||
        constant.length > format::kMaxConstantBytes) {
      throw ConvertError("constant '" + constant.name + "' is an output: " + std::to_string(constant.length) +
                         " bytes of ONNX type " + std::to_string(constant.onnx_type) + " are not supported there");
    }
    std::string bytes = IsFloat(constant.type) ? AsFloat32(constant) : constant.Read();
    if (constant.type == ElementType::kBool) {
      for (char& byte : bytes) byte = byte == 0 ? 0 : 1;
    }
    return {ConstantOp{std::move(bytes), IsFloat(constant.type) ? ElementType::kFloat32 : constant.type}, 0, 0, {}, {}};
  }

  size_t DataInput(const Graph& graph, const Node& node, const std::string& value,
                   std::initializer_list<ElementType> types) const {
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      if (plan_.inputs[i].name != value) continue;
      if (std::count(types.begin(), types.end(), plan_.inputs[i].type) > 0) return i;
      throw ConvertError(node.Describe() + ": input '" + value + "' has an element type that is not supported");
    }
    const Node* producer = graph.FindProducer(value);
    if (producer != nullptr) {
      throw ConvertError(producer->Describe() + ": is not supported between an input of the graph and " +
                         node.Describe());
    }
    throw ConvertError(node.Describe() + ": its operand '" + value + "' is not an input of the graph");
  }

  PlannedOp LowerEmbedding(const Graph& graph, const Node& node) {
    const size_t ids = DataInput(graph, node, node.Input(1), {ElementType::kInt64, ElementType::kInt32});
    const size_t table = AddTable({*graph.FindConstant(node.Input(0)), node.Int("transposed", 0) != 0}, node);
    return {EmbeddingOp{table, node.Float("scale", 1)}, ids, 0, {}, {}};
  }

  PlannedOp LowerHead(const Graph& graph, const Node& node, HeadOp::Result result) {
    const size_t hidden = DataInput(graph, node, node.Input(0), {ElementType::kFloat32});
    const size_t table = AddTable({*graph.FindConstant(node.Input(1)), node.Int("transposed", 0) != 0}, node);
    const int bias = node.Input(2).empty() ? -1 : AddBias(*graph.FindConstant(node.Input(2)));
    const int64_t k = node.Int("k", 0);
    const auto most = std::min<int64_t>(format::kMaxTopk, static_cast<int64_t>(plan_.tables[table].rows()));
    if (result != HeadOp::Result::kLogits && (k < 1 || k > most)) {
      throw ConvertError(node.Describe() + ": k is " + std::to_string(k) + "; it must be from 1 to " +
                         std::to_string(most));
    }
    const float scale = node.Float("scale", 1);
    if (!std::isfinite(scale) || scale == 0) {
      throw ConvertError(node.Describe() + ": its logits are multiplied by " + std::to_string(scale) +
                         ", which is zero or not finite");
    }
    const HeadOp head = {table, bias, result, k, node.Int("log_softmax", 0) != 0, scale, node.Float("soft_cap", 0)};
    return {head, hidden, 0, {}, {}};
  }

  size_t AddTable(const TableSource& source, const Node& node) {
    if (source.quantised()) {
      source.CheckQuantisation(node.Describe() + ": table '" + source.tensor.name + "'");
    } else if (!IsFloat(source.tensor.type)) {
      throw ConvertError(node.Describe() + ": table '" + source.tensor.name + "' has ONNX type " +
                         std::to_string(source.tensor.onnx_type) + ", which tables do not support");
    }
    if (source.rows() == 0 || source.cols() == 0) throw ConvertError(node.Describe() + ": the table is empty");
    for (size_t i = 0; i < plan_.tables.size(); ++i) {
      if (plan_.tables[i].SamePlace(source)) return i;
    }
    plan_.tables.push_back(source);
    return plan_.tables.size() - 1;
  }

  int AddBias(const TensorRef& bias) {
    for (size_t i = 0; i < plan_.biases.size(); ++i) {
      if (plan_.biases[i].SamePlace(bias)) return static_cast<int>(i);
    }
    plan_.biases.push_back(bias);
    return static_cast<int>(plan_.biases.size()) - 1;
  }

  static void CheckOutputType(const ValueInfo& output, const PlannedOp& op) {
    const auto* head = std::get_if<HeadOp>(&op.operation);
    const auto* constant = std::get_if<ConstantOp>(&op.operation);
    const bool ids = head != nullptr && head->result == HeadOp::Result::kTopkIds;
    const ElementType made = ids ? ElementType::kInt64 : ElementType::kFloat32;
    if (output.type == (constant != nullptr ? constant->type : made)) return;
    throw ConvertError("output '" + output.name + "' is computed as " +
                       (ids                   ? "int64"
                        : made == output.type ? "a constant of another type"
                                              : "float32") +
                       ", but declared with a different type");
  }

  // The dimension of input `i` that `dim` is, or that the model declares to be as long by its name.
  std::optional<SymbolicInt> DimOf(size_t i, const SymbolicInt& dim) const {
    const ValueInfo& input = plan_.inputs[i];
    if (dim.input == input.name) return dim;
    const auto other = std::find_if(plan_.inputs.begin(), plan_.inputs.end(),
                                    [&](const ValueInfo& info) { return info.name == dim.input; });
    const std::string& symbol = other->dims[static_cast<size_t>(dim.value)].symbol;
    for (size_t at = 0; at < input.dims.size() && !symbol.empty(); ++at) {
      if (input.dims[at].symbol == symbol) return SymbolicInt::InputDim(input.name, static_cast<int64_t>(at));
    }
    return std::nullopt;
  }

  // An input that has all dimensions that are taken from inputs; 0 if there are none.
  size_t InputOfDims(const SymbolicShape& dims, const std::string& output) const {
    std::set<std::string> inputs;
    for (const SymbolicInt& dim : dims) {
      if (dim.kind == SymbolicInt::Kind::kInputDim) inputs.insert(dim.input);
    }
    if (inputs.empty()) return 0;
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      if (std::all_of(dims.begin(), dims.end(), [&](const SymbolicInt& dim) {
            return dim.kind != SymbolicInt::Kind::kInputDim || DimOf(i, dim).has_value();
          }))
        return i;
    }
    throw ConvertError("output '" + output + "' is a constant whose shape follows from two inputs, '" +
                       *inputs.begin() + "' and '" + *inputs.rbegin() +
                       "', which is not supported; make one of another shape, such as [0], in that branch");
  }

  // A dimension of an input that is not the operation's must be inferred.
  SymbolicShape OutputDims(const SymbolicShape* dims, const PlannedOp& op, const std::string& output) const {
    if (dims == nullptr) throw ConvertError("output '" + output + "': its shape does not follow from the inputs");
    SymbolicShape result = *dims;
    size_t unknown = 0;
    for (SymbolicInt& dim : result) {
      if (dim.kind == SymbolicInt::Kind::kInputDim) dim = DimOf(op.input, dim).value_or(SymbolicInt{});
      unknown += dim.kind == SymbolicInt::Kind::kUnknown;
    }
    if (unknown > 1) throw ConvertError("output '" + output + "': more than one dimension is unknown");
    return result;
  }

  static void CheckElements(const ConstantOp& constant, const SymbolicShape& dims, const ValueInfo& output) {
    uint64_t bytes = ElementSize(output.type);
    const bool one = constant.data.size() == bytes;
    bool fits = true, fixed = true;
    for (const SymbolicInt& dim : dims) {
      const bool number = dim.kind == SymbolicInt::Kind::kConstant;
      fixed = fixed && number;
      fits = fits && dim.kind != SymbolicInt::Kind::kUnknown && (!number || CheckedMultiply(bytes, dim.value, &bytes));
    }
    const bool filled = one && bytes <= format::kMaxFilledBytes;
    if (fits && (filled || (fixed && bytes == constant.data.size()))) return;
    throw ConvertError("output '" + output.name + "' is a constant whose declared shape does not match its elements");
  }

  void CheckUse() const {
    if (plan_.tables.empty()) throw ConvertError("the model has neither an embedding nor an lm_head");
  }

  Plan plan_;
  std::vector<std::string> full_names_;
  uint64_t origin_bytes_ = 0;
};

}  // namespace

Plan MakePlan(const Graph& graph, const std::string& onnx_path, bool allow_untied, const Progress& progress, Tie tie) {
  Planner planner(graph, onnx_path);
  for (const FlatGraph& path : FlattenIfs(graph)) planner.Add(path);
  Plan plan = planner.Finish();
  UniteTables(allow_untied, tie, progress, &plan);
  return plan;
}

}  // namespace tied::converter
