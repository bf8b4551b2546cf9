// Adds matrices of integers to a graph as constants with a Quantisation.
#ifndef TIED_CONVERTER_PASSES_QUANTISED_TABLES_H_
#define TIED_CONVERTER_PASSES_QUANTISED_TABLES_H_

#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// Integers of four or eight bits.
bool IsQuantisedInteger(ElementType type);
int BitsOf(ElementType type);

// True for integers of a type that tables support. Refuses a node with integers of other types.
bool IsIntegerTable(const Node& node, const TensorRef& tensor);

// True for the same value, or for two constants with equal content.
bool SameNumbers(const TensorRef& a, const TensorRef& b);
bool SameNumbers(const Graph& graph, const std::string& a, const std::string& b);
bool SameZeroPoints(const Graph& graph, const std::string& a, const std::string& b);
bool IsZero(const Graph& graph, const std::string& value);

[[noreturn]] void RefuseNode(const Node& node, const std::string& reason);

// Refuses a number format that a file cannot hold, and names the way forward.
[[noreturn]] void RefuseFormat(const Node& node, const std::string& reason);

// Refuses integers of other sizes than the 4 and 8 bits that a file can hold.
void RequireSupportedBits(const Node& node, int64_t bits);

// Names of constants from the inputs of a node; "" if there are no zero points.
struct IntegerNames {
  std::string values, scales, zero_points;
};

struct BlockLayout {
  int64_t bits;
  int64_t block;      // columns
  bool whole;         // each row is padded to whole blocks
  bool from_middle;   // without zero points, uint8 has its zero point in the middle of the range
  bool down = false;  // the matrix is [cols, rows], and so are its scales and zero points
};

// Adds the constants to a graph.
class QuantisedTables {
 public:
  explicit QuantisedTables(Graph* graph) : graph_(graph) {}

  // A constant, perhaps after a Reshape.
  const TensorRef* FindReshaped(const std::string& value) const;
  // The same, but refuses the node if the value is missing or not constant. what: a plural noun for the message.
  const TensorRef& Require(const Node& node, const std::string& value, const char* what) const;

  // Adds a matrix with one scale, or one for each index of dimension `axis`. Returns the name of the new constant.
  std::string AddMatrix(const Node& node, const TensorRef& tensor, const IntegerNames& names, int64_t axis);
  // The same in two steps, if the scales become known later.
  std::string AddMatrix(const Node& node, const TensorRef& tensor, const std::string& zero_points);
  void SetScales(const Node& node, const std::string& matrix, const std::string& scales, int64_t axis);
  // matrix.dims: [rows, cols], or [cols, rows] if layout.down.
  std::string AddBlocks(const Node& node, const TensorRef& matrix, const BlockLayout& layout,
                        const IntegerNames& names);

 private:
  static void SetRows(const Node& node, const TensorRef& matrix, const BlockLayout& layout, Quantisation* quantisation);
  std::string Add(TensorRef tensor, Quantisation quantisation, const std::string& user);

  Graph* graph_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_QUANTISED_TABLES_H_
