#include "converter/split/embedding.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "converter/graph/shapes.h"
#include "converter/onnx/import.h"
#include "converter/passes/passes.h"
#include "converter/split/names.h"

namespace tied::converter {

namespace {

class EmbeddingTaker {
 public:
  explicit EmbeddingTaker(const PieceReader& reader) : reader_(reader) {}

  Embedding Run(onnx::GraphProto* graph) {
    Replace(graph, nullptr, 0);
    if (taken_.tables.empty()) throw ConvertError(reader_.path() + ": no Gather on a constant matrix by input_ids");
    return std::move(taken_);
  }

 private:
  void Replace(onnx::GraphProto* graph, const Scope* outer, int depth) {
    reader_.CheckDepth(depth);
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    for (int i = 0; i < original.node_size(); ++i) {
      const onnx::NodeProto& node = original.node(i);
      for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
        if (attribute.has_g() && !DeclaresTokenIds(attribute.g())) {
          Replace(attribute.mutable_g(), &scope, depth + 1);
        }
      }
      if (IsEmbedding(node, scope)) ReplaceOne(original, node, scope, graph);
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

  // The input of embeddings is [batch, sequence, cols]: so the ids must be [batch, sequence] where they are looked up.
  void CheckShapeOfIds(const onnx::NodeProto& gather, const Scope& scope) const {
    const std::string ids = TokenIdsOf(gather.input(1), scope);
    onnx::ValueInfoProto declared = Declare(ids, onnx::TensorProto::INT64, 0);
    for (const onnx::ValueInfoProto& input : reader_.model().graph().input()) {
      if (input.name() == ids && input.type().tensor_type().has_shape()) declared = input;
    }
    bool same = declared.type().tensor_type().shape().dim_size() == 2;
    if (same && gather.input(1) != ids) {
      const Graph view = FoldConstants(reader_.Import(scope, {gather.input(1), ids, kMaxSteps}, declared,
                                                      Declare("tied_ids", onnx::TensorProto::INT64, 0)));
      const Shapes shapes = InferShapes(view);
      const SymbolicShape* shape = shapes.Find(view.results[0]);
      same = view.inputs.size() == 1 && shape != nullptr && *shape == *shapes.Find(ids);
    }
    if (!same) reader_.Refuse(gather, "looks up '" + ids + "' in another shape than [batch, sequence]");
  }

  void ReplaceOne(const onnx::GraphProto& original, const onnx::NodeProto& gather, const Scope& scope,
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
    SetEmbedding(
        gather, reader_.Import(scope, {rows, gather.input(1), steps}, Declare("input_ids", onnx::TensorProto::INT64, 0),
                               Declare("embeddings", onnx::TensorProto::FLOAT, 0)));
    // A graph of an encoder and a decoder has ids for each.
    const bool second = TokenIdsOf(gather.input(1), scope) == kDecoderIds && scope.IsInput(kIds);
    const std::string embeddings = second ? kDecoderEmbeddings : kEmbeddings;
    taken_.inputs[embeddings] = type.value_or(FloatTypeOf(taken_.table));
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
      const TensorRef number = ImportTensor(*factor, reader_.path());
      if (number.elements() == 1 && IsFloat(number.type)) return factor;
    }
    return nullptr;
  }

  void SetEmbedding(const onnx::NodeProto& gather, Graph graph) {
    const Plan plan = reader_.PlanOf(gather, graph);
    const TableSource& table = plan.tables[0];
    const float scale = std::get<GatherOp>(plan.entry_points[0].ops[0].operation).scale;
    if (!taken_.tables.empty() && !SameTable(taken_.table, table)) {
      reader_.Refuse(gather, "reads '" + table.tensor.name + "', another Gather by input_ids reads '" +
                                 taken_.table.tensor.name + "'");
    }
    if (!taken_.tables.empty() && taken_.scale != scale)
      reader_.Refuse(gather, "its rows are scaled in another way than those of another");
    taken_.tables.insert(table.tensor.name);
    graph.outputs[0].dims.push_back({static_cast<int64_t>(table.cols()), ""});
    taken_.table = table;
    taken_.scale = scale;
    taken_.graph = std::move(graph);
  }

  const PieceReader& reader_;
  Embedding taken_;
};

}  // namespace

Embedding TakeEmbedding(const PieceReader& reader, onnx::GraphProto* graph) {
  return EmbeddingTaker(reader).Run(graph);
}

}  // namespace tied::converter
