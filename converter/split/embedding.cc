#include "converter/split/embedding.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "converter/graph/shapes.h"
#include "converter/onnx/import.h"
#include "converter/passes/passes.h"
#include "converter/split/known_values.h"
#include "converter/split/names.h"

namespace tied::converter {

namespace {

// The node that computes the embeddings of a Gather, and the number of nodes from the ids to it.
struct Rows {
  const onnx::NodeProto* last;
  int steps;
};

class EmbeddingTaker {
 public:
  EmbeddingTaker(const PieceReader& reader, const std::set<std::string>& ids, bool with_scale)
      : reader_(reader), ids_(ids), with_scale_(with_scale) {}

  std::optional<Embedding> Run(onnx::GraphProto* graph) {
    for (const onnx::ValueInfoProto& input : graph->input()) {
      if (ids_.count(input.name()) > 0) declared_[input.name()] = input;
    }
    Replace(graph, nullptr, nullptr, ids_, 0);
    if (taken_.tables.empty()) throw ConvertError(reader_.path() + ": no Gather on a constant matrix by input_ids");
    return differ_ ? std::nullopt : std::optional(std::move(taken_));
  }

 private:
  // ids: the inputs whose names have the same meaning here. The body of a Loop may redefine them.
  void Replace(onnx::GraphProto* graph, const Scope* outer, const KnownValues* known_outside, std::set<std::string> ids,
               int depth) {
    reader_.CheckDepth(depth);
    const onnx::GraphProto original = *graph;
    const Scope scope(original, outer);
    const KnownValues known(original, scope, known_outside);
    const Uses uses(original);
    if (outer != nullptr) {
      for (const onnx::ValueInfoProto& own : original.input()) ids.erase(own.name());
    }
    std::map<const onnx::NodeProto*, std::string> replaced;  // nodes, and the inputs that replace them
    for (int i = 0; i < original.node_size(); ++i) {
      const onnx::NodeProto& node = original.node(i);
      for (onnx::AttributeProto& attribute : *graph->mutable_node(i)->mutable_attribute()) {
        if (attribute.has_g()) Replace(attribute.mutable_g(), &scope, &known, ids, depth + 1);
      }
      if (!IsEmbedding(node, scope, ids)) continue;
      const Rows rows = FindRows(node, scope, uses);
      replaced[rows.last] = Record(node, rows, scope, known);
    }
    for (int i = 0; i < original.node_size(); ++i) {
      const auto found = replaced.find(&original.node(i));
      if (found == replaced.end()) continue;
      *graph->mutable_node(i) = Identity(found->first->name(), found->second, found->first->output(0));
    }
  }

  static bool IsEmbedding(const onnx::NodeProto& node, const Scope& scope, const std::set<std::string>& ids) {
    if (node.op_type() != "Gather" && node.op_type() != "GatherBlockQuantized") return false;
    return node.input_size() >= 2 && node.output_size() > 0 && MatrixOf(node.input(0), scope) != nullptr &&
           ids.count(InputBehind(node.input(1), scope)) > 0;
  }

  // Finds the nodes that dequantise, cast and scale the rows, up to the first value with two uses.
  Rows FindRows(const onnx::NodeProto& gather, const Scope& scope, const Uses& uses) const {
    Rows rows{&gather, 1};
    bool scaled = false;
    while (const onnx::NodeProto* next = uses.OnlyUser(rows.last->output(0))) {
      if (next->output_size() == 0 || rows.steps == kMaxSteps) break;
      const bool first = next->input(0) == rows.last->output(0);
      const bool cast = first && next->op_type() == "Cast" && with_scale_;
      const bool scale = with_scale_ && !scaled && IsScale(*next, rows.last->output(0), scope);
      const bool numbers = first && (next->op_type() == "DequantizeLinear" || IsCrop(gather, *next, scope));
      if (!cast && !scale && !numbers) break;
      scaled = scaled || scale;
      rows.last = next;
      ++rows.steps;
    }
    return rows;
  }

  // A product with a constant number.
  bool IsScale(const onnx::NodeProto& node, const std::string& value, const Scope& scope) const {
    if (node.op_type() != "Mul" || node.input_size() != 2) return false;
    const onnx::TensorProto* factor = scope.Constant(node.input(node.input(0) == value ? 1 : 0));
    if (factor == nullptr) return false;
    const TensorRef number = ImportTensor(*factor, reader_.path());
    return number.elements() == 1 && IsFloat(number.type);
  }

  // True for a Slice after the lookup that removes the padding of the last block.
  bool IsCrop(const onnx::NodeProto& gather, const onnx::NodeProto& node, const Scope& scope) const {
    if (gather.op_type() != "GatherBlockQuantized" || node.op_type() != "Slice" || node.input_size() < 4) return false;
    const onnx::TensorProto* axes = scope.Constant(node.input(3));
    if (axes == nullptr) return false;
    const TensorRef axis = ImportTensor(*axes, reader_.path());
    return axis.elements() == 1 && (axis.ReadInts()[0] == -1 || axis.ReadInts()[0] > 1);
  }

  // Records the embedding and returns the name of the input that replaces the rows.
  std::string Record(const onnx::NodeProto& gather, const Rows& rows, const Scope& scope, const KnownValues& known) {
    const std::string ids = InputBehind(gather.input(1), scope);
    CheckShapeOfIds(gather, ids, scope);
    onnx::ValueInfoProto input = DeclaredIds(ids);
    const int rank = input.type().tensor_type().shape().dim_size() + 1;
    const Slice slice{rows.last->output(0), gather.input(1), rows.steps};
    SetEmbedding(gather, reader_.Import(scope, slice, Declare(kIds, onnx::TensorProto::INT64, 0, rank),
                                        Declare("embeddings", onnx::TensorProto::FLOAT, 0, rank)));
    // A graph with an encoder and a decoder has ids for each.
    const std::string name = ids == kDecoderIds && ids_.size() > 1 ? kDecoderEmbeddings : kEmbeddings;
    input.set_name(name);
    onnx::TypeProto_Tensor* type = input.mutable_type()->mutable_tensor_type();
    type->set_elem_type(known.Type(rows.last->output(0)).value_or(FloatTypeOf(taken_.table)));
    type->mutable_shape()->add_dim()->set_dim_value(static_cast<int64_t>(taken_.table.cols()));
    const auto [other, added] = taken_.inputs.emplace(name, input);
    if (!added && other->second.type().tensor_type().elem_type() != type->elem_type()) {
      Differ(gather, "its rows differ in type from another Gather's rows");
    }
    return name;
  }

  // Requires that the ids are looked up in their shape as an input, because embeddings get this shape plus the width.
  void CheckShapeOfIds(const onnx::NodeProto& gather, const std::string& ids, const Scope& scope) const {
    if (gather.input(1) == ids) return;
    const Slice slice{gather.input(1), ids, kMaxSteps};
    const onnx::ValueInfoProto declared = DeclaredIds(ids);
    const Graph view =
        FoldConstants(reader_.Import(scope, slice, declared, Declare("tied_ids", onnx::TensorProto::INT64, 0)));
    const Shapes shapes = InferShapes(view);
    const SymbolicShape* shape = shapes.Find(view.results[0]);
    if (shape == nullptr || *shape != *shapes.Find(ids)) {
      reader_.Refuse(gather, "looks up '" + ids + "' in a different shape than the input's");
    }
  }

  // The shape of the ids; [batch, sequence] if the export does not declare it.
  onnx::ValueInfoProto DeclaredIds(const std::string& ids) const {
    const onnx::ValueInfoProto& declared = declared_.at(ids);
    if (declared.type().tensor_type().has_shape()) return declared;
    return Declare(ids, declared.type().tensor_type().elem_type(), 0, 3, kPrefix);
  }

  void SetEmbedding(const onnx::NodeProto& gather, Graph graph) {
    const Plan plan = reader_.PlanOf(gather, graph);
    const TableSource& table = plan.tables[0];
    const auto* operation = std::get_if<EmbeddingOp>(&plan.entry_points[0].ops[0].operation);
    if (operation == nullptr) reader_.Refuse(gather, "does not look up rows");
    const bool first = taken_.tables.empty();
    if (!first && !SameTable(taken_.table, table)) {
      reader_.Refuse(gather, "reads '" + table.tensor.name + "', but another Gather by token ids reads '" +
                                 taken_.table.tensor.name + "'");
    }
    if (!first && taken_.scale != operation->scale) {
      Differ(gather, "its rows are scaled differently from another Gather's rows");
    }
    taken_.tables.insert(table.tensor.name);
    graph.outputs[0].dims.push_back({static_cast<int64_t>(table.cols()), ""});
    taken_.table = table;
    taken_.scale = operation->scale;
    taken_.graph = std::move(graph);
  }

  // If scales or Casts differ, the caller tries again without them.
  void Differ(const onnx::NodeProto& gather, const std::string& reason) {
    if (!with_scale_) reader_.Refuse(gather, reason);
    differ_ = true;
  }

  const PieceReader& reader_;
  const std::set<std::string>& ids_;
  const bool with_scale_;
  std::map<std::string, onnx::ValueInfoProto> declared_;  // of the ids
  Embedding taken_;
  bool differ_ = false;
};

}  // namespace

std::optional<Embedding> TakeEmbedding(const PieceReader& reader, const std::set<std::string>& ids, bool with_scale,
                                       onnx::GraphProto* graph) {
  return EmbeddingTaker(reader, ids, with_scale).Run(graph);
}

}  // namespace tied::converter
