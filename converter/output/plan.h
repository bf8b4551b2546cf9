// The plan of a .tied file: its content before it is written.
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
  std::string data;  // all elements, or one element that is repeated
  ElementType type;
};

struct PlannedOp {
  std::variant<EmbeddingOp, HeadOp, ConstantOp> operation;
  size_t input;               // index into Plan::inputs; for ConstantOp, the input that gives its dimensions
  size_t output;              // index into Plan::outputs
  std::string origin;         // TraceNodes()
  SymbolicShape output_dims;  // kInputDim: a dimension of `input`; kUnknown at most once
  std::optional<size_t> moved = std::nullopt;  // index into Plan::moved
};

// A use that reads a different table than in the model: both are the same matrix up to rounding.
struct MovedUse {
  bool is_head;                // false: the embedding
  TableSource original;        // the table that it reads in the model
  size_t table;                // the table that it reads instead: index into Plan::tables
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
  std::vector<TableEncoding> encodings;  // one per table; float32 until they are chosen
  std::vector<TensorRef> biases;
  std::vector<PlannedEntryPoint> entry_points;
  std::vector<MovedUse> moved;
};

// Makes the plan of a file from the graph of a model: flattens, canonicalises, unites the tables. Throws ConvertError
// that names the node for anything unsupported, and for tables that differ unless allow_untied.
// tie: which table to keep if two are the same up to rounding (UniteTables()).
Plan MakePlan(const Graph& graph, const std::string& onnx_path, bool allow_untied, const Progress& progress,
              Tie tie = Tie::kNone);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_PLAN_H_
