#include "converter/split/split.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "converter/graph/shapes.h"
#include "converter/onnx/import.h"
#include "converter/onnx/scope.h"
#include "converter/onnx/slim.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

constexpr char kEmbeddings[] = "inputs_embeds";
constexpr char kDecoderEmbeddings[] = "decoder_inputs_embeds";
constexpr char kHidden[] = "hidden";
constexpr char kPrefix[] = "tied_";  // dimensions of an export may have any other name
constexpr int kMaxDepth = 16;
constexpr int kMaxLayers = 10000;  // nodes from the head back to the embedding
constexpr int kMaxSteps = 12;      // from logits back to hidden: eight in quantised forms with a bias

constexpr char kIds[] = "input_ids";
constexpr char kDecoderIds[] = "decoder_input_ids";

bool IsTokenIds(const std::string& name) { return name == kIds || name == kDecoderIds; }

onnx::NodeProto Identity(const std::string& name, const std::string& from, const std::string& to) {
  onnx::NodeProto node;
  node.set_op_type("Identity");
  node.set_name(name);
  node.add_input(from);
  node.add_output(to);
  return node;
}

// [batch, sequence, width], or [batch, width]; width 0: [batch, sequence]. prefix: of the names of free dimensions.
onnx::ValueInfoProto Declare(const std::string& name, int type, int64_t width, int rank = 3,
                             const std::string& prefix = "") {
  onnx::ValueInfoProto value;
  value.set_name(name);
  onnx::TypeProto_Tensor* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape()->add_dim()->set_dim_param(prefix + "batch");
  if (rank > 2) tensor->mutable_shape()->add_dim()->set_dim_param(prefix + "sequence");
  if (width > 0) tensor->mutable_shape()->add_dim()->set_dim_value(width);
  return value;
}

// The type of a table's numbers to the nodes around it.
int FloatTypeOf(const TableSource& table) {
  return table.quantised() ? table.tensor.quantisation->scales.onnx_type : table.tensor.onnx_type;
}

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

class Splitter {
 public:
  explicit Splitter(const std::string& path) {
    split_.path = path;
    split_.model = ReadSlimModel(path);
    for (const onnx::TensorProto& tensor : split_.model.graph().initializer()) initializers_.insert(tensor.name());
    split_.files = FilesOf(ImportModel(split_.model, path));  // whose graph has no cycle, and no name twice
  }

  SplitModel Run() {
    onnx::GraphProto* graph = split_.model.mutable_graph();
    CheckNames(*graph);
    ReplaceEmbeddings(graph, nullptr, 0);
    if (gone_.empty()) throw ConvertError(split_.path + ": no Gather on a constant matrix by input_ids");
    for (int i = 0; i < graph->output_size(); ++i) {
      if (graph->output(i).name() == "logits") ReplaceHead(graph, nullptr, i, kHidden, 0);
    }
    RemoveUnused(graph);
    for (const std::string& value : gone_) CheckGone(*graph, value);
    SetInputs(graph);
    (void)ImportModel(split_.model, split_.path);  // names that are added may have been there
    return std::move(split_);
  }

 private:
  [[noreturn]] void Refuse(const onnx::NodeProto& node, const std::string& reason) const {
    throw ConvertError(split_.path + ": " + Describe(node) + ": " + reason);
  }

  // What is added must not be there already.
  void CheckNames(const onnx::GraphProto& graph) const {
    const Scope scope(graph, nullptr);
    for (const char* name : {kEmbeddings, kDecoderEmbeddings, kHidden}) {
      if (!scope.IsInput(name) && scope.Producer(name) == nullptr && scope.Initializer(name) == nullptr) continue;
      throw ConvertError(split_.path + ": has a value called '" + name + "' already");
    }
  }

  void CheckGone(const onnx::GraphProto& graph, const std::string& value) const {
    for (const onnx::NodeProto& node : graph.node()) {
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        if (attribute.has_g()) CheckGone(attribute.g(), value);
      }
      const bool used = std::count(node.input().begin(), node.input().end(), value) > 0;
      if (used) Refuse(node, "still uses '" + value + "' when the embedding and the head are gone");
    }
  }

  // A piece of the model as a graph of its own.
  Graph Import(const Scope& scope, const Slice& slice, const onnx::ValueInfoProto& input,
               const onnx::ValueInfoProto& output) const {
    onnx::ModelProto piece;
    *piece.mutable_opset_import() = split_.model.opset_import();
    *piece.mutable_graph() = CutOut(scope, slice, input, output);
    piece.mutable_graph()->set_name("tied_pair");
    Graph graph = ImportModel(piece, split_.path);
    graph.outputs[0].name = output.name();  // values of the export may have this name
    return graph;
  }

  // Of such a graph, which must be one operation with one table.
  Plan PlanOf(const onnx::NodeProto& node, const Graph& graph) const {
    if (graph.inputs.size() != 1) Refuse(node, "depends on '" + graph.inputs.back().name + "', too");
    try {
      return MakePlan(graph, split_.path, /*allow_untied=*/false, [](uint64_t, uint64_t) {});
    } catch (const ConvertError& error) {
      throw ConvertError(split_.path + ": " + error.what());
    }
  }

  static bool Same(const TableSource& a, const TableSource& b) {
    return (a.tensor.SamePlace(b.tensor) && a.transposed == b.transposed) ||
           SameValues(a, b, [](uint64_t, uint64_t) {});
  }

  // ---- the embedding

  void ReplaceEmbeddings(onnx::GraphProto* graph, const Scope* outer, int depth) {
    if (depth > kMaxDepth) throw ConvertError(split_.path + ": graphs are nested too deeply");
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    for (int i = 0; i < original.node_size(); ++i) {
      const onnx::NodeProto& node = original.node(i);
      for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
        if (attribute.has_g() && !DeclaresTokenIds(attribute.g())) {
          ReplaceEmbeddings(attribute.mutable_g(), &scope, depth + 1);
        }
      }
      if (IsEmbedding(node, scope)) ReplaceEmbedding(original, node, scope, graph);
    }
  }

  // The body of a Loop may have ids of its own.
  static bool DeclaresTokenIds(const onnx::GraphProto& graph) {
    return std::any_of(graph.input().begin(), graph.input().end(),
                       [](const onnx::ValueInfoProto& input) { return IsTokenIds(input.name()); });
  }

  static bool IsEmbedding(const onnx::NodeProto& node, const Scope& scope) {
    if (node.op_type() != "Gather" && node.op_type() != "GatherBlockQuantized") return false;
    return node.input_size() >= 2 && node.output_size() > 0 && IsMatrix(node.input(0), scope) &&
           !TokenIdsOf(node.input(1), scope).empty();
  }

  // A constant with two dimensions, or what is computed from one.
  static bool IsMatrix(std::string name, const Scope& scope) {
    if (!scope.IsConstant(name)) return false;
    while (scope.Constant(name) == nullptr) {
      const onnx::NodeProto* node = scope.Producer(name);
      if (node == nullptr || node->input_size() == 0) return false;
      name = node->input(0);
    }
    return scope.Constant(name)->dims_size() >= 2;
  }

  // The input of token ids that a value has the elements of; "" if it is another value.
  static std::string TokenIdsOf(std::string name, const Scope& scope) {
    static const std::set<std::string> kPassing = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
    for (int steps = 0; steps < 64; ++steps) {
      if (scope.Initializer(name) != nullptr) return "";
      if (scope.IsInput(name)) return IsTokenIds(name) ? name : "";
      const onnx::NodeProto* producer = scope.Producer(name);
      if (producer == nullptr || producer->input_size() == 0 || kPassing.count(producer->op_type()) == 0) return "";
      name = producer->input(0);
    }
    return "";
  }

  // The input of embeddings is [batch, sequence, cols]: so the ids must be [batch, sequence] where they are looked up.
  void CheckShapeOfIds(const onnx::NodeProto& gather, const Scope& scope) const {
    const std::string ids = TokenIdsOf(gather.input(1), scope);
    onnx::ValueInfoProto declared = Declare(ids, onnx::TensorProto::INT64, 0);
    for (const onnx::ValueInfoProto& input : split_.model.graph().input()) {
      if (input.name() == ids && input.type().tensor_type().has_shape()) declared = input;
    }
    bool same = declared.type().tensor_type().shape().dim_size() == 2;
    if (same && gather.input(1) != ids) {
      const Graph view = FoldConstants(
          Import(scope, {gather.input(1), ids, kMaxSteps}, declared, Declare("tied_ids", onnx::TensorProto::INT64, 0)));
      const Shapes shapes = InferShapes(view);
      const SymbolicShape* shape = shapes.Find(view.results[0]);
      same = view.inputs.size() == 1 && shape != nullptr && *shape == *shapes.Find(ids);
    }
    if (!same) Refuse(gather, "looks up '" + ids + "' in another shape than [batch, sequence]");
  }

  void ReplaceEmbedding(const onnx::GraphProto& original, const onnx::NodeProto& gather, const Scope& scope,
                        onnx::GraphProto* graph) {
    // What makes numbers of the rows, of another type perhaps, and scales them.
    const onnx::NodeProto* last = &gather;
    std::optional<int> type;
    int steps = 1;
    for (const onnx::NodeProto& node : original.node()) {
      if (node.output_size() == 0) continue;
      const bool first = node.input_size() > 0 && node.input(0) == last->output(0);
      const onnx::TensorProto* factor = last->op_type() == "Mul" ? nullptr : FactorBeside(node, last->output(0), scope);
      if (factor != nullptr) {
        type = factor->data_type();
      } else if (first && node.op_type() == "Cast") {
        for (const onnx::AttributeProto& attribute : node.attribute()) {
          if (attribute.name() == "to") type = static_cast<int>(attribute.i());
        }
      } else if (!first || node.op_type() != "DequantizeLinear") {
        continue;
      }
      last = &node;
      ++steps;
    }
    const std::string rows = last->output(0);
    CheckShapeOfIds(gather, scope);
    SetEmbedding(gather,
                 Import(scope, {rows, gather.input(1), steps}, Declare("input_ids", onnx::TensorProto::INT64, 0),
                        Declare("embeddings", onnx::TensorProto::FLOAT, 0)));
    // A graph of an encoder and a decoder has ids for each.
    const bool second = TokenIdsOf(gather.input(1), scope) == kDecoderIds && scope.IsInput(kIds);
    const std::string embeddings = second ? kDecoderEmbeddings : kEmbeddings;
    embeddings_types_[embeddings] = type.value_or(FloatTypeOf(split_.table));
    for (onnx::NodeProto& node : *graph->mutable_node()) {
      if (node.output_size() > 0 && node.output(0) == rows) node = Identity(node.name(), embeddings, rows);
    }
  }

  // The constant number that a Mul multiplies `value` with.
  const onnx::TensorProto* FactorBeside(const onnx::NodeProto& node, const std::string& value,
                                        const Scope& scope) const {
    if (node.op_type() != "Mul" || node.input_size() != 2) return nullptr;
    for (const int i : {0, 1}) {
      const onnx::TensorProto* factor = scope.Constant(node.input(1 - i));
      if (node.input(i) != value || factor == nullptr) continue;
      const TensorRef number = ImportTensor(*factor, split_.path);
      if (number.elements() == 1 && IsFloat(number.type)) return factor;
    }
    return nullptr;
  }

  void SetEmbedding(const onnx::NodeProto& gather, Graph graph) {
    const Plan plan = PlanOf(gather, graph);
    const TableSource& table = plan.tables[0];
    const float scale = std::get<GatherOp>(plan.entry_points[0].ops[0].operation).scale;
    if (!gone_.empty() && !Same(split_.table, table)) {
      Refuse(gather,
             "reads '" + table.tensor.name + "', another Gather by input_ids reads '" + split_.table.tensor.name + "'");
    }
    if (!gone_.empty() && split_.scale != scale)
      Refuse(gather, "its rows are scaled in another way than those of another");
    gone_.insert(table.tensor.name);
    graph.outputs[0].dims.push_back({static_cast<int64_t>(table.cols()), ""});
    split_.table = table;
    split_.scale = scale;
    split_.embedding = std::move(graph);
  }

  // ---- the head

  // Output `index` of the graph becomes what the head's product is made from, under another name.
  void ReplaceHead(onnx::GraphProto* graph, const Scope* outer, int index, const std::string& name, int depth) {
    if (depth > kMaxDepth) throw ConvertError(split_.path + ": graphs are nested too deeply");
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    const onnx::ValueInfoProto& output = original.output(index);
    std::string logits = output.name();
    const onnx::NodeProto* node = scope.Producer(logits);
    while (node != nullptr && (node->op_type() == "Identity" || node->op_type() == "Cast") && node->input_size() == 1) {
      logits = node->input(0);
      node = scope.Producer(logits);
    }
    if (node == nullptr) throw ConvertError(split_.path + ": output '" + output.name() + "' is made by nothing");
    const int rank = RankOf(output).value_or(3);
    const bool branches = node->op_type() == "If";
    const std::string hidden =
        branches ? ReplaceInBranches(graph, *node, logits, scope, depth) : RecordHead(*node, original, output, scope);
    *graph->add_node() = Identity("tied_hidden", hidden, name);
    *graph->mutable_output(index) =
        Declare(name, hidden_type_, static_cast<int64_t>(split_.table.cols()), rank, kPrefix);
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
        if (attribute.g().output_size() <= index) Refuse(node, "a branch has too few outputs");
        const std::string name = attribute.g().output(index).name() + "_hidden";
        ReplaceHead(attribute.mutable_g(), &scope, index, name, depth + 1);
      }
    }
    gone_.insert(logits);
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
      Refuse(node, "its hidden states may have another rank than its logits");
    }
    const auto cols = static_cast<int64_t>(split_.table.cols());
    Graph head = Import(scope, {logits, hidden, kMaxSteps}, Declare(kHidden, onnx::TensorProto::FLOAT, cols, rank),
                        Declare("logits", onnx::TensorProto::FLOAT, 0, rank));
    const Plan plan = PlanOf(node, head);
    const bool rounded = std::any_of(head.nodes.begin(), head.nodes.end(), [](const Node& user) {
      return user.op == "DynamicQuantizeLinear" && user.Input(0) == kHidden;
    });
    hidden_type_ = rounded ? static_cast<int>(onnx::TensorProto::FLOAT) : FloatTypeOf(plan.tables[0]);
    head.outputs[0].dims.push_back({static_cast<int64_t>(plan.tables[0].rows()), ""});
    if (split_.head && !(Same(head_plan_.tables[0], plan.tables[0]) && SameBias(head_plan_, plan))) {
      Refuse(node, "another branch makes its logits from another matrix or bias");
    }
    gone_.insert(plan.tables[0].tensor.name);
    head_plan_ = plan;
    split_.head = std::move(head);
    return hidden;
  }

  // Slices grow until the passes see a head in one.
  Product FindHidden(const onnx::NodeProto& node, const std::string& logits, const Scope& scope) const {
    std::string reason =
        split_.path + ": " + Describe(node) +
        ": makes the logits; a product with the table, and a sum with a bias behind it, are understood";
    for (int steps = 1; steps <= kMaxSteps; ++steps) {
      try {
        const Slice slice{logits, "", steps};
        const Product product = FindProduct(Import(scope, slice, {}, Declare("logits", onnx::TensorProto::FLOAT, 0)));
        if (!product.hidden.empty()) return BeforeProduct(product, scope);
      } catch (const ConvertError& error) {  // what it lacks may be further back
        if (steps == kMaxSteps) reason = split_.path + ": " + error.what();
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
    const bool one = scale != nullptr && ImportTensor(*scale, split_.path).elements() == 1;
    if (!one || rounding->input_size() != back->input_size()) return value;
    for (int i = 1; i < back->input_size(); ++i) {
      if (!SameNumbers(back->input(i), rounding->input(i), scope)) return value;
    }
    return rounding->input(0);
  }

  bool SameNumbers(const std::string& a, const std::string& b, const Scope& scope) const {
    const onnx::TensorProto *first = scope.Constant(a), *second = scope.Constant(b);
    if (a == b || first == nullptr || second == nullptr) return a == b;
    return ImportTensor(*first, split_.path).SamePlace(ImportTensor(*second, split_.path));
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
           {&graph.value_info(), &split_.model.graph().value_info(), &split_.model.graph().input()}) {
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

  // ---- inputs

  void SetInputs(onnx::GraphProto* graph) const {
    std::set<std::string> uses;
    CollectUses(*graph, &uses);
    // Initializers may be listed as inputs, too.
    RemoveIf(graph->mutable_input(), [&](const onnx::ValueInfoProto& input) {
      return (IsTokenIds(input.name()) || initializers_.count(input.name()) > 0) && uses.count(input.name()) == 0;
    });
    for (const auto& [name, type] : embeddings_types_) {
      *graph->add_input() = Declare(name, type, static_cast<int64_t>(split_.table.cols()), 3, kPrefix);
    }
  }

  SplitModel split_;
  std::set<std::string> initializers_;           // of the export
  std::set<std::string> gone_;                   // values that nothing may use in the end
  std::map<std::string, int> embeddings_types_;  // of the inputs that take the place of embeddings
  int hidden_type_ = 0;
  Plan head_plan_;
};

}  // namespace

SplitModel SplitOnnx(const std::string& path) { return Splitter(path).Run(); }

Graph PairOf(const SplitModel& decoder) {
  if (!decoder.head) throw ConvertError(decoder.path + ": has no output 'logits'");
  Graph pair = decoder.embedding;
  const Graph& head = *decoder.head;
  pair.inputs.insert(pair.inputs.end(), head.inputs.begin(), head.inputs.end());
  pair.outputs.insert(pair.outputs.end(), head.outputs.begin(), head.outputs.end());
  pair.results.insert(pair.results.end(), head.results.begin(), head.results.end());
  // What both have is the same, unless it comes from two branches that use a name for two things.
  const auto require = [&](bool same, const std::string& name) {
    if (!same) throw ConvertError(decoder.path + ": the embedding and the head have two things called '" + name + "'");
  };
  for (const ValueInfo& input : head.inputs) {
    require(pair.FindConstant(input.name) == nullptr && pair.FindProducer(input.name) == nullptr, input.name);
  }
  for (const auto& [name, tensor] : head.constants) {
    require(pair.FindInput(name) == nullptr && pair.FindProducer(name) == nullptr, name);
    const auto [place, added] = pair.constants.emplace(name, tensor);
    require(added || place->second.SamePlace(tensor), name);
  }
  for (const Node& node : head.nodes) {
    const Node* same = node.outputs.empty() ? nullptr : pair.FindProducer(node.outputs[0]);
    for (const std::string& output : node.outputs) {
      require(pair.FindInput(output) == nullptr && pair.FindConstant(output) == nullptr, output);
    }
    if (same == nullptr) pair.nodes.push_back(node);
    require(same == nullptr || (same->op == node.op && same->inputs == node.inputs), node.name);
  }
  return pair;
}

}  // namespace tied::converter
