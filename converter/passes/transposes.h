// Transposes: permutations of dimensions.
#ifndef TIED_CONVERTER_PASSES_TRANSPOSES_H_
#define TIED_CONVERTER_PASSES_TRANSPOSES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"

namespace tied::converter {

// Dimension i of a Transpose's output is dimension perm[i] of its input. nullopt for other nodes, and if the rank is
// unknown or the attribute is invalid.
std::optional<std::vector<size_t>> PermOf(const Node& node, const Shapes& shapes);

// A Transpose that replaces the node `of` of the model, or accompanies it.
Node MakeTranspose(const Node& of, const std::string& input, const std::string& output,
                   const std::vector<size_t>& perm);

// True if only dimensions of 1 move, so that the order of the elements does not change.
bool KeepsOrder(const std::vector<size_t>& perm, const std::vector<bool>& is_one);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_TRANSPOSES_H_
