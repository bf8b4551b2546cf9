// What a .tied file will hold, before it is written.
#ifndef TIED_CONVERTER_OUTPUT_PLAN_H_
#define TIED_CONVERTER_OUTPUT_PLAN_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"
#include "converter/graph/table_difference.h"
#include "converter/graph/table_source.h"
#include "converter/output/encoding.h"
#include "converter/output/tie.h"
#include "converter/passes/flatten.h"

namespace tied::converter {

struct EmbeddingOp {
  size_t table;
  float scale;
};

struct HeadOp {
  enum class Result { kLogits, kTopkValues, kTopkIds };
  size_t table;
  int bias;  // index into Plan::biases, -1: none
  Result result;
  int64_t k;  // 0 for kLogits
  bool log_softmax;
  float scale;
  float soft_cap;  // 0: none
};

struct ConstantOp {
  std::string data;  // all elements, or one that all of them are
  ElementType type;
};

struct PlannedOp {
  std::variant<EmbeddingOp, HeadOp, ConstantOp> operation;
  size_t input;               // index into Plan::inputs; of ConstantOp, the one that dimensions are taken from
  size_t output;              // index into Plan::outputs
  std::string origin;         // TraceNodes()
  SymbolicShape output_dims;  // kInputDim: a dimension of `input`; kUnknown at most once
  std::optional<size_t> moved = std::nullopt;  // index into Plan::moved
};

// A use that reads another table than it does in the model: the same matrix within their rounding.
struct MovedUse {
  bool is_head;                // or the embedding
  TableSource original;        // what it reads in the model
  size_t table;                // what it reads instead: index into Plan::tables
  TableDifference difference;  // a: the original; b: the table
};

struct PlannedEntryPoint {
  std::string name;
  std::vector<Selector> selectors;
  std::vector<PlannedOp> ops;
};

struct Plan {
  std::string source;  // file name of the model
  std::string graph;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<TableSource> tables;
  std::vector<TableEncoding> encodings;  // one for each table; float32 until they are chosen
  std::vector<TensorRef> biases;
  std::vector<PlannedEntryPoint> entry_points;
  std::vector<MovedUse> moved;
};

// From the graph of a model to the plan of its file: flattens, canonicalises, unites the tables. Throws ConvertError
// that names the node for anything that is not understood, and for tables that are not the same unless they may be.
// tie: which table is kept where two are the same within their rounding (UniteTables()).
Plan MakePlan(const Graph& graph, const std::string& onnx_path, bool allow_untied, const Progress& progress,
              Tie tie = Tie::kNone);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_PLAN_H_
