// The dimensions that the operands of a product share.
#ifndef TIED_CONVERTER_GRAPH_PRODUCTS_H_
#define TIED_CONVERTER_GRAPH_PRODUCTS_H_

#include <optional>
#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// A letter for each dimension of the operands and of the result. Equal letters mean the same dimension; dimensions that
// the result lacks are summed over. MatMul of a matrix and a batch: "mk", "Akn", "Amn".
struct ProductDims {
  std::string a;
  std::string b;
  std::string result;
};

bool IsProduct(const Node& node);

// The dimensions of a product with operands of these ranks, in the order in which they are stored. nullopt for other
// nodes, and for invalid ranks or equations.
std::optional<ProductDims> DimsOfProduct(const Node& node, size_t rank_a, size_t rank_b);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_PRODUCTS_H_
