// Which dimensions the operands of a product share.
#ifndef TIED_CONVERTER_GRAPH_PRODUCTS_H_
#define TIED_CONVERTER_GRAPH_PRODUCTS_H_

#include <optional>
#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// A letter for each dimension of the operands and of the result: dimensions with the same letter are the same, and
// those that the result does not have are summed over. MatMul of a matrix and a batch: "mk", "Akn", "Amn".
struct ProductDims {
  std::string a;
  std::string b;
  std::string result;
};

bool IsProduct(const Node& node);

// For a product of operands of these ranks, in the order in which the file has them. Nothing for other nodes, and
// where ranks or an equation are not possible.
std::optional<ProductDims> DimsOfProduct(const Node& node, size_t rank_a, size_t rank_b);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_PRODUCTS_H_
