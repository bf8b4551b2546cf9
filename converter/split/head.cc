#include "converter/split/head.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "converter/graph/operations.h"
#include "converter/onnx/import.h"
#include "converter/passes/passes.h"
#include "converter/split/integers.h"
#include "converter/split/known_values.h"
#include "converter/split/names.h"

namespace tied::converter {

namespace {

bool MovesElements(const std::string& op) { return FactsOf(op).is_view || op == "Transpose"; }

// The product that computes logits.
struct Product {
  std::string hidden;     // "" if the passes find no head
  bool reshaped = false;  // logits and product have different shapes
  bool viewed = false;    // the operand and hidden have different shapes
  int64_t cols = 0;       // of the table
};

Product FindProduct(const Graph& graph) {
  const Graph canonical = CanonicalHead(DropNoOps(Dequantise(FoldConstants(graph))), {});
  Product product;
  std::string value = canonical.results[0];
  bool multiplied = false;  // right behind `value`
  while (const Node* node = canonical.FindProducer(value)) {
    if (node->op == "tied.Head") {
      product.hidden = node->Input(0);
      product.cols = canonical.FindConstant(node->Input(1))->dims[node->Int("transposed", 0) != 0 ? 0 : 1];
      break;
    }
    const auto constant = [&](size_t i) { return canonical.FindConstant(node->Input(i)) != nullptr; };
    // A bias, a scale, and the nodes of a soft cap.
    const bool arithmetic = node->op == "Add" || node->op == "Mul" || node->op == "Div";
    const bool elementwise = (arithmetic && (constant(0) || constant(1))) || (node->op == "Tanh" && multiplied);
    if (!elementwise && !MovesElements(node->op)) break;
    product.reshaped = product.reshaped || !elementwise;
    if (elementwise) multiplied = node->op == "Mul";
    value = node->Input(elementwise && constant(0) ? 1 : 0);
  }
  return product;
}

bool SameBias(const Plan& a, const Plan& b) {
  if (a.biases.empty() || b.biases.empty()) return a.biases.empty() && b.biases.empty();
  return a.biases[0].SamePlace(b.biases[0]) || a.biases[0].ReadFloats() == b.biases[0].ReadFloats();
}

class HeadTaker {
 public:
  HeadTaker(const PieceReader& reader, const std::string& name) : reader_(reader), name_(name) {}

  Head Run(int index, onnx::GraphProto* graph) {
    Replace(graph, Around{}, index, name_, 0);
    return std::move(taken_);
  }

 private:
  // The graph that contains a branch.
  struct Around {
    const Scope* scope = nullptr;
    const KnownValues* known = nullptr;
  };

  // Replaces output `index` of the graph by the hidden states of the head, under a different name.
  void Replace(onnx::GraphProto* graph, const Around& around, int index, const std::string& name, int depth) {
    reader_.CheckDepth(depth);
    RestoreHidden(index, graph);
    const onnx::GraphProto original = *graph;
    const Scope scope(original, around.scope);
    const KnownValues known(original, scope, around.known);
    const onnx::ValueInfoProto& output = original.output(index);
    std::string logits = output.name();
    const onnx::NodeProto* node = scope.Producer(logits);
    while (node != nullptr && (node->op_type() == "Identity" || node->op_type() == "Cast") && node->input_size() == 1) {
      logits = node->input(0);
      node = scope.Producer(logits);
    }
    if (node == nullptr) throw ConvertError(reader_.path() + ": output '" + output.name() + "' is not computed");
    const bool branches = node->op_type() == "If";
    const std::string hidden = branches ? ReplaceInBranches(graph, *node, logits, {&scope, &known}, depth)
                                        : RecordHead(*node, output, scope, known);
    *graph->add_node() = Identity("tied_hidden", hidden, name);
    const auto cols = static_cast<int64_t>(taken_.plan.tables[0].cols());
    *graph->mutable_output(index) = Declare(name, type_, cols, rank_, kPrefix);
  }

  // Returns the name of the If's output, which is now the hidden state.
  std::string ReplaceInBranches(onnx::GraphProto* graph, const onnx::NodeProto& node, const std::string& logits,
                                const Around& around, int depth) {
    const auto index =
        static_cast<int>(std::find(node.output().begin(), node.output().end(), logits) - node.output().begin());
    const std::string hidden = logits + "_hidden";
    for (onnx::NodeProto& place : *graph->mutable_node()) {
      if (place.output_size() <= index || place.output(index) != logits) continue;
      place.set_output(index, hidden);
      for (onnx::AttributeProto& attribute : *place.mutable_attribute()) {
        if (!attribute.has_g()) continue;
        if (attribute.g().output_size() <= index) reader_.Refuse(node, "a branch has too few outputs");
        const std::string name = attribute.g().output(index).name() + "_hidden";
        Replace(attribute.mutable_g(), around, index, name, depth + 1);
      }
    }
    if (taken_.plan.tables.empty()) reader_.Refuse(node, "has no branch");
    taken_.replaced.insert(logits);
    return hidden;
  }

  // Records the head that computes the output and returns the name of its hidden states.
  std::string RecordHead(const onnx::NodeProto& node, const onnx::ValueInfoProto& output, const Scope& scope,
                         const KnownValues& known) {
    const std::string& logits = output.name();
    const Product product = FindHidden(node, logits, scope);
    const std::string& hidden = product.hidden;
    const int logits_rank = DeclaredRank(output).value_or(3);
    // A product keeps the rank, and so do views on both sides of it, but not a view on one side.
    const std::optional<int> likely =
        product.reshaped == product.viewed ? std::optional<int>(logits_rank) : std::nullopt;
    const std::optional<int> rank = known.Rank(hidden) ? known.Rank(hidden) : likely;
    if (!rank || *rank < 1) reader_.Refuse(node, "the rank of its hidden states is unknown");
    Graph head = reader_.Import(scope, {logits, hidden, kMaxSteps},
                                Declare(kHidden, onnx::TensorProto::FLOAT, product.cols, *rank),
                                Declare(kLogits, onnx::TensorProto::FLOAT, 0, logits_rank));
    const Plan plan = reader_.PlanOf(node, head);
    head.outputs[0].dims.resize(plan.entry_points[0].ops[0].output_dims.size() - 1);  // as it is, not as declared
    head.outputs[0].dims.push_back({static_cast<int64_t>(plan.tables[0].rows()), ""});
    if (!taken_.plan.tables.empty() && (rank_ != *rank || !SameHead(taken_.plan, plan))) {
      reader_.Refuse(node, "another branch differs in the matrix, bias or shape of its logits");
    }
    const bool rounded = std::any_of(head.nodes.begin(), head.nodes.end(), [](const Node& user) {
      return user.op == "DynamicQuantizeLinear" && user.Input(0) == kHidden;
    });
    const int likely_type = rounded ? static_cast<int>(onnx::TensorProto::FLOAT) : FloatTypeOf(plan.tables[0]);
    type_ = known.Type(hidden).value_or(likely_type);
    rank_ = *rank;
    taken_.input = scope.IsInput(hidden) ? hidden : "";
    taken_.replaced.insert(plan.tables[0].tensor.name);
    taken_.plan = plan;
    taken_.graph = std::move(head);
    return hidden;
  }

  // Tries growing slices until the passes find a head in one. An error in one slice may disappear in a larger one; an
  // error that two consecutive slices share is the reason in the message if no slice has a head.
  Product FindHidden(const onnx::NodeProto& node, const std::string& logits, const Scope& scope) const {
    std::string reason = Describe(node) +
                         ": computes the logits; only a product with the table is supported, followed by a bias, a "
                         "constant factor and c * tanh(x / c)";
    std::string last;
    bool found = false;
    for (int steps = 1; steps <= kMaxSteps; ++steps) {
      try {
        const Slice slice{logits, "", steps};
        const Product product =
            FindProduct(reader_.Import(scope, slice, {}, Declare("logits", onnx::TensorProto::FLOAT, 0)));
        if (!product.hidden.empty()) return BeforeProduct(product, scope);
        last.clear();
      } catch (const ConvertError& error) {
        if (!found && last == error.what()) reason = last;
        found = found || last == error.what();
        last = error.what();
      }
    }
    throw ConvertError(reader_.path() + ": " + reason);
  }

  // Moves `hidden` back to before it is rounded by QuantizeLinear or reshaped for a Gemm.
  Product BeforeProduct(Product product, const Scope& scope) const {
    product.hidden = BeforeRounding(product.hidden, scope);
    const onnx::NodeProto* view = product.reshaped ? scope.Producer(product.hidden) : nullptr;
    if (view == nullptr || view->input_size() == 0 || !MovesElements(view->op_type())) return product;
    product.viewed = true;
    product.hidden = BeforeRounding(view->input(0), scope);
    return product;
  }

  std::string BeforeRounding(const std::string& value, const Scope& scope) const {
    const onnx::NodeProto* back = scope.Producer(value);
    if (back == nullptr || back->op_type() != "DequantizeLinear" || back->input_size() < 2) return value;
    const onnx::NodeProto* rounding = scope.Producer(back->input(0));
    if (rounding == nullptr || rounding->op_type() != "QuantizeLinear") return value;
    const onnx::TensorProto* scale = scope.Constant(back->input(1));
    const bool one = scale != nullptr && ImportTensor(*scale, reader_.path()).elements() == 1;
    if (!one || rounding->input_size() != back->input_size()) return value;
    for (int i = 1; i < back->input_size(); ++i) {
      if (!SameNumbers(back->input(i), rounding->input(i), scope)) return value;
    }
    return rounding->input(0);
  }

  bool SameNumbers(const std::string& a, const std::string& b, const Scope& scope) const {
    const onnx::TensorProto *first = scope.Constant(a), *second = scope.Constant(b);
    if (a == b || first == nullptr || second == nullptr) return a == b;
    return ImportTensor(*first, reader_.path()).SamePlace(ImportTensor(*second, reader_.path()));
  }

  static std::optional<int> DeclaredRank(const onnx::ValueInfoProto& value) {
    const onnx::TypeProto::Tensor& tensor = value.type().tensor_type();
    return tensor.has_shape() ? std::optional<int>(tensor.shape().dim_size()) : std::nullopt;
  }

  const PieceReader& reader_;
  const std::string& name_;  // of the new output
  int type_ = 0;             // of hidden states
  int rank_ = 0;
  Head taken_;
};

}  // namespace

Head TakeHead(const PieceReader& reader, const std::string& hidden, int index, onnx::GraphProto* graph) {
  return HeadTaker(reader, hidden).Run(index, graph);
}

bool SameHead(const Plan& a, const Plan& b) {
  const SymbolicShape &dims = a.entry_points[0].ops[0].output_dims, &others = b.entry_points[0].ops[0].output_dims;
  const bool same_dims = std::equal(dims.begin(), dims.end(), others.begin(), others.end(),
                                    [](const SymbolicInt& x, const SymbolicInt& y) {
                                      return x == y || (x.kind == y.kind && x.kind == SymbolicInt::Kind::kUnknown);
                                    });
  const auto& head = std::get<HeadOp>(a.entry_points[0].ops[0].operation);
  const auto& other = std::get<HeadOp>(b.entry_points[0].ops[0].operation);
  return same_dims && head.scale == other.scale && head.soft_cap == other.soft_cap &&
         SameTable(a.tables[0], b.tables[0]) && SameBias(a, b);
}

}  // namespace tied::converter
