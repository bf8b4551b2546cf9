#include "converter/split/head.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "converter/onnx/import.h"
#include "converter/passes/passes.h"
#include "converter/split/names.h"

namespace tied::converter {

namespace {

constexpr int kMaxLayers = 10000;  // nodes from the head back to the embedding

bool IsView(const std::string& op) {
  return op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten" || op == "Transpose";
}

// What logits are made of.
struct Product {
  std::string hidden;     // "" if the passes see no head
  bool reshaped = false;  // logits have another shape than the product
  bool viewed = false;    // what it multiplies has another shape than hidden
};

Product FindProduct(const Graph& graph) {
  const Graph canonical = CanonicalHead(DropNoOps(Dequantise(FoldConstants(graph))), {});
  Product product;
  std::string value = canonical.results[0];
  while (const Node* node = canonical.FindProducer(value)) {
    if (node->op == "tied.Head") {
      product.hidden = node->Input(0);
      break;
    }
    const auto constant = [&](size_t i) { return canonical.FindConstant(node->Input(i)) != nullptr; };
    const bool bias = node->op == "Add" && (constant(0) || constant(1));
    if (!bias && !IsView(node->op)) break;
    product.reshaped = product.reshaped || !bias;
    value = node->Input(bias && constant(0) ? 1 : 0);
  }
  return product;
}

class HeadTaker {
 public:
  HeadTaker(const PieceReader& reader, int64_t cols) : reader_(reader), cols_(cols) {}

  Head Run(onnx::GraphProto* graph, int index) {
    Replace(graph, nullptr, index, kHidden, 0);
    return std::move(taken_);
  }

 private:
  // Output `index` of the graph becomes what the head's product is made from, under another name.
  void Replace(onnx::GraphProto* graph, const Scope* outer, int index, const std::string& name, int depth) {
    reader_.CheckDepth(depth);
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    const onnx::ValueInfoProto& output = original.output(index);
    std::string logits = output.name();
    const onnx::NodeProto* node = scope.Producer(logits);
    while (node != nullptr && (node->op_type() == "Identity" || node->op_type() == "Cast") && node->input_size() == 1) {
      logits = node->input(0);
      node = scope.Producer(logits);
    }
    if (node == nullptr) throw ConvertError(reader_.path() + ": output '" + output.name() + "' is made by nothing");
    const int rank = RankOf(output).value_or(3);
    const bool branches = node->op_type() == "If";
    const std::string hidden =
        branches ? ReplaceInBranches(graph, *node, logits, scope, depth) : RecordHead(*node, original, output, scope);
    *graph->add_node() = Identity("tied_hidden", hidden, name);
    *graph->mutable_output(index) = Declare(name, type_, cols_, rank, kPrefix);
  }

  // Returns the name of the If's output, which is the hidden state from now on.
  std::string ReplaceInBranches(onnx::GraphProto* graph, const onnx::NodeProto& node, const std::string& logits,
                                const Scope& scope, int depth) {
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
        Replace(attribute.mutable_g(), &scope, index, name, depth + 1);
      }
    }
    taken_.replaced.insert(logits);
    return hidden;
  }

  // Takes the head that makes `logits` out; returns what it multiplies.
  std::string RecordHead(const onnx::NodeProto& node, const onnx::GraphProto& graph, const onnx::ValueInfoProto& output,
                         const Scope& scope) {
    const std::string& logits = output.name();
    const Product product = FindHidden(node, logits, scope);
    const std::string& hidden = product.hidden;
    const std::optional<int> declared = RankOf(output);
    const int rank = declared.value_or(3);
    // A product keeps the rank, and so do views on both sides of it; one side alone does not.
    const int likely = product.reshaped == product.viewed ? rank : 0;
    if ((!declared || product.reshaped) && RankOf(hidden, graph, scope).value_or(likely) != rank) {
      reader_.Refuse(node, "its hidden states may have another rank than its logits");
    }
    Graph head =
        reader_.Import(scope, {logits, hidden, kMaxSteps}, Declare(kHidden, onnx::TensorProto::FLOAT, cols_, rank),
                       Declare("logits", onnx::TensorProto::FLOAT, 0, rank));
    const Plan plan = reader_.PlanOf(node, head);
    const bool rounded = std::any_of(head.nodes.begin(), head.nodes.end(), [](const Node& user) {
      return user.op == "DynamicQuantizeLinear" && user.Input(0) == kHidden;
    });
    type_ = rounded ? static_cast<int>(onnx::TensorProto::FLOAT) : FloatTypeOf(plan.tables[0]);
    head.outputs[0].dims.push_back({static_cast<int64_t>(plan.tables[0].rows()), ""});
    if (!taken_.plan.tables.empty() &&
        !(SameTable(taken_.plan.tables[0], plan.tables[0]) && SameBias(taken_.plan, plan))) {
      reader_.Refuse(node, "another branch makes its logits from another matrix or bias");
    }
    taken_.replaced.insert(plan.tables[0].tensor.name);
    taken_.plan = plan;
    taken_.graph = std::move(head);
    return hidden;
  }

  // Slices grow until the passes see a head in one.
  Product FindHidden(const onnx::NodeProto& node, const std::string& logits, const Scope& scope) const {
    std::string reason =
        reader_.path() + ": " + Describe(node) +
        ": makes the logits; a product with the table, and a sum with a bias behind it, are understood";
    for (int steps = 1; steps <= kMaxSteps; ++steps) {
      try {
        const Slice slice{logits, "", steps};
        const Product product =
            FindProduct(reader_.Import(scope, slice, {}, Declare("logits", onnx::TensorProto::FLOAT, 0)));
        if (!product.hidden.empty()) return BeforeProduct(product, scope);
      } catch (const ConvertError& error) {  // what it lacks may be further back
        if (steps == kMaxSteps) reason = reader_.path() + ": " + error.what();
      }
    }
    throw ConvertError(reason);
  }

  // Before it was rounded by QuantizeLinear, or reshaped for a Gemm.
  Product BeforeProduct(Product product, const Scope& scope) const {
    product.hidden = BeforeRounding(product.hidden, scope);
    const onnx::NodeProto* view = product.reshaped ? scope.Producer(product.hidden) : nullptr;
    if (view == nullptr || view->input_size() == 0 || !IsView(view->op_type())) return product;
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

  static std::optional<int> RankOf(const onnx::ValueInfoProto& value) {
    const onnx::TypeProto::Tensor& tensor = value.type().tensor_type();
    return tensor.has_shape() ? std::optional<int>(tensor.shape().dim_size()) : std::nullopt;
  }

  // Of what the layers before the head make; nothing where it cannot be told.
  std::optional<int> RankOf(std::string value, const onnx::GraphProto& graph, const Scope& scope) const {
    static const std::set<std::string> kKeepRank = {"Add",
                                                    "Cast",
                                                    "DequantizeLinear",
                                                    "Div",
                                                    "Identity",
                                                    "LayerNormalization",
                                                    "MatMul",
                                                    "Mul",
                                                    "QuantizeLinear",
                                                    "Relu",
                                                    "SkipLayerNormalization",
                                                    "Sub",
                                                    "Tanh"};
    for (int steps = 0; steps < kMaxLayers; ++steps) {
      if (value == kEmbeddings || value == kDecoderEmbeddings) return 3;
      for (const auto* values :
           {&graph.value_info(), &reader_.model().graph().value_info(), &reader_.model().graph().input()}) {
        for (const onnx::ValueInfoProto& known : *values) {
          if (known.name() == value && RankOf(known)) return RankOf(known);
        }
      }
      const onnx::NodeProto* node = scope.Producer(value);
      if (node == nullptr || node->input_size() == 0) return std::nullopt;
      if (node->op_type() == "Gemm" || node->op_type() == "Flatten") return 2;
      if (node->op_type() == "Reshape" && node->input_size() > 1) {
        const onnx::TensorProto* shape = scope.Constant(node->input(1));
        if (shape == nullptr || shape->dims_size() != 1) return std::nullopt;
        return static_cast<int>(shape->dims(0));
      }
      if (kKeepRank.count(node->op_type()) == 0) return std::nullopt;
      const bool second = node->input_size() > 1 && scope.IsConstant(node->input(0));  // a bias before its product
      value = node->input(second ? 1 : 0);
    }
    return std::nullopt;
  }

  static bool SameBias(const Plan& a, const Plan& b) {
    if (a.biases.empty() || b.biases.empty()) return a.biases.empty() && b.biases.empty();
    return a.biases[0].SamePlace(b.biases[0]) || a.biases[0].ReadFloats() == b.biases[0].ReadFloats();
  }

  const PieceReader& reader_;
  const int64_t cols_;
  int type_ = 0;  // of hidden states
  Head taken_;
};

}  // namespace

Head TakeHead(const PieceReader& reader, uint64_t cols, onnx::GraphProto* graph, int index) {
  return HeadTaker(reader, static_cast<int64_t>(cols)).Run(graph, index);
}

}  // namespace tied::converter
