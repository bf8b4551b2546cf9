#include "converter/split/split.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "converter/onnx/import.h"
#include "converter/onnx/scope.h"
#include "converter/onnx/slim.h"
#include "converter/split/embedding.h"
#include "converter/split/head.h"
#include "converter/split/integers.h"
#include "converter/split/names.h"
#include "converter/split/piece.h"
#include "schema/checked_math.h"

namespace tied::converter {

namespace {

constexpr int kMaxTried = 64;  // outputs, if none is named logits

// Refuses nodes, also in subgraphs, that use removed values.
void CheckGone(const PieceReader& reader, const onnx::GraphProto& graph, const std::set<std::string>& gone) {
  for (const onnx::NodeProto& node : graph.node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) CheckGone(reader, attribute.g(), gone);
    }
    for (const std::string& input : node.input()) {
      if (gone.count(input) == 0) continue;
      reader.Refuse(node, "still uses '" + input + "' after embedding and head are removed");
    }
  }
}

template <class Named>
std::set<std::string> NamesOf(const google::protobuf::RepeatedPtrField<Named>& values) {
  std::set<std::string> names;
  for (const Named& value : values) names.insert(value.name());
  return names;
}

// Splits one export.
class Splitter {
 public:
  Splitter(const std::string& path, const SplitNames& names) : names_(names) {
    split_.path = path;
    split_.model = ReadSlimModel(path);
    initializers_ = NamesOf(graph().initializer());
    split_.inputs = NamesOf(graph().input());
    split_.outputs = NamesOf(graph().output());
    split_.files = FilesOf(ImportModel(split_.model, path));  // also checks for cycles and duplicate names
    ForEachLookup(graph(), [&](const onnx::NodeProto&, const std::string&, const onnx::TensorProto& matrix) {
      matrices_.insert({{matrix.dims().begin(), matrix.dims().end()}, matrix.data_type()});
    });
  }

  // Returns nullopt if the uses of the embedding differ in its scale.
  std::optional<SplitModel> Run(bool with_scale, int64_t vocabulary) {
    onnx::GraphProto* graph = split_.model.mutable_graph();
    const int logits = FindLogits(vocabulary);
    if (logits >= 0) TakeTheHead(logits);
    RemoveUnused(graph);
    if (split_.head) vocabulary = static_cast<int64_t>(split_.head_plan.tables[0].vocabulary());
    const std::string given = split_.inputs.count(names_.ids) > 0 ? names_.ids : "";
    const std::set<std::string> ids = ChooseIds(*graph, split_.path, given, vocabulary);
    if (!ids.empty() && !TakeTheEmbedding(ids, with_scale)) return std::nullopt;
    if (!split_.embedding && !split_.head && (vocabulary == 0 || IsLookedUp(vocabulary, 0))) {
      throw ConvertError(split_.path + ": no Gather on a constant matrix by token ids, and no output is a product " +
                         "with a constant matrix; its inputs are " + ListNames(graph->input()) + ", its outputs " +
                         ListNames(graph->output()));
    }
    RemoveUnused(graph);
    CheckGone(reader_, *graph, gone_);
    SetInputs(ids, graph);
    split_.empty = !split_.embedding && graph->output_size() == 1 && from_input_;
    if (!split_.empty) (void)ImportModel(split_.model, split_.path);  // checks the model before it is written
    return std::move(split_);
  }

 private:
  const onnx::GraphProto& graph() const { return split_.model.graph(); }

  // The index of the logits among the outputs; -1 if there are none.
  int FindLogits(int64_t vocabulary) const {
    const std::string wanted = split_.outputs.count(names_.logits) > 0 ? names_.logits : kLogits;
    std::vector<int> found;
    for (int i = 0; i < graph().output_size(); ++i) {
      if (graph().output(i).name() == wanted) return i;
    }
    int tried = 0;  // each takes a copy of the graph
    for (int i = 0; i < graph().output_size() && tried < kMaxTried; ++i) {
      if (!MayBeLogits(graph().output(i))) continue;
      ++tried;
      if (MakesLogits(i, vocabulary)) found.push_back(i);
    }
    if (found.size() < 2) return found.empty() ? -1 : found[0];
    throw ConvertError(split_.path + ": logits may be the output '" + graph().output(found[0]).name() + "' or '" +
                       graph().output(found[1]).name() + "'; choose one with --logits NAME");
  }

  // False if the declared last dimension matches the rows of no table.
  bool MayBeLogits(const onnx::ValueInfoProto& output) const {
    const onnx::TypeProto::Tensor& type = output.type().tensor_type();
    const int dims = type.shape().dim_size();
    const int64_t last = dims > 0 ? type.shape().dim(dims - 1).dim_value() : 0;
    return last == 0 || matrices_.empty() || IsLookedUp(last, 0);
  }

  // True for an output that is a product with a matrix whose rows token ids look up. In a file without such a matrix,
  // the output must have as many numbers as the table has rows.
  bool MakesLogits(int index, int64_t vocabulary) const {
    onnx::GraphProto copy = graph();
    try {
      const Head head = TakeHead(reader_, names_.hidden, index, &copy);
      const auto rows = static_cast<int64_t>(head.plan.tables[0].vocabulary());
      if (matrices_.empty()) return rows == vocabulary;
      return IsLookedUp(rows, static_cast<int64_t>(head.plan.tables[0].cols()));
    } catch (const ConvertError&) {
      return false;
    }
  }

  // True if integers look up the rows of a matrix of that size. cols: 0 for any.
  bool IsLookedUp(int64_t rows, int64_t cols) const {
    return std::any_of(matrices_.begin(), matrices_.end(), [&](const auto& matrix) {
      const auto& [dims, type] = matrix;
      if (std::count(dims.begin(), dims.end(), rows) == 0 || rows == 0) return false;
      int64_t others = 1;
      for (const int64_t dim : dims) {
        if (!CheckedMultiply(others, dim, &others)) return false;
      }
      others /= rows;
      // Two numbers may share a byte, and rows may be padded to whole blocks.
      const bool packed = type != onnx::TensorProto::FLOAT && others >= cols / 2;
      return cols == 0 || others == cols || packed;
    });
  }

  void TakeTheHead(int logits) {
    onnx::GraphProto* graph = split_.model.mutable_graph();
    const onnx::GraphProto original = *graph;
    Head head = TakeHead(reader_, names_.hidden, logits, graph);
    from_input_ = !head.input.empty();
    // If nothing is left of the graph, an input and the output may have the same name.
    if (!from_input_ || graph->output_size() > 1) {
      *graph = original;
      ClearName(names_.hidden, split_.path, "choose a different name for the hidden states with --hidden NAME", graph);
      head = TakeHead(reader_, names_.hidden, logits, graph);
    }
    gone_.merge(head.replaced);
    split_.head = std::move(head.graph);
    split_.head_plan = std::move(head.plan);
  }

  // Returns false if the uses of the embedding differ in its scale.
  bool TakeTheEmbedding(const std::set<std::string>& ids, bool with_scale) {
    onnx::GraphProto* graph = split_.model.mutable_graph();
    for (const char* name : {kEmbeddings, kDecoderEmbeddings}) {
      if (name == kEmbeddings || ids.size() > 1)
        ClearName(name, split_.path, "an input of embeddings needs this name", graph);
    }
    UniteIntegerRows(ids, graph);
    std::optional<Embedding> embedding = TakeEmbedding(reader_, ids, with_scale, graph);
    if (!embedding) return false;
    gone_.merge(embedding->tables);
    split_.embedding = std::move(embedding->graph);
    split_.table = embedding->table;
    split_.scale = embedding->scale;
    inputs_ = std::move(embedding->inputs);
    return true;
  }

  // Replaces unused inputs of ids by inputs of embeddings. Initializers may also be listed as inputs.
  void SetInputs(const std::set<std::string>& ids, onnx::GraphProto* graph) const {
    std::set<std::string> uses;
    CollectUses(*graph, &uses);
    RemoveIf(graph->mutable_input(), [&](const onnx::ValueInfoProto& input) {
      return (ids.count(input.name()) > 0 || initializers_.count(input.name()) > 0) && uses.count(input.name()) == 0;
    });
    for (const auto& [name, input] : inputs_) *graph->add_input() = input;
  }

  const SplitNames& names_;
  SplitModel split_;
  const PieceReader reader_{split_.model, split_.path};
  std::set<std::string> initializers_;                       // of the export
  std::set<std::pair<std::vector<int64_t>, int>> matrices_;  // dimensions and types of matrices that are looked up
  std::set<std::string> gone_;                               // removed values, which nothing may use
  std::map<std::string, onnx::ValueInfoProto> inputs_;       // inputs of embeddings
  bool from_input_ = false;                                  // hidden states are an input of the export
};

}  // namespace

SplitModel SplitOnnx(const std::string& path, const SplitNames& names, bool with_scale, int64_t vocabulary) {
  std::optional<SplitModel> split = Splitter(path, names).Run(with_scale, vocabulary);
  if (!split) split = Splitter(path, names).Run(/*with_scale=*/false, vocabulary);
  return std::move(*split);
}

}  // namespace tied::converter
