// The two halves of Dequantise().
#ifndef TIED_CONVERTER_PASSES_DEQUANTISE_H_
#define TIED_CONVERTER_PASSES_DEQUANTISE_H_

#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// DequantizeLinear of constants, GatherBlockQuantized and MatMulNBits.
Graph DequantiseTables(Graph graph);

// What computes with integers that hidden states are rounded to.
Graph DequantiseProducts(Graph graph);

// ONNX Runtime's own forms of ONNX's operations know more types.
std::string WithoutDomain(const std::string& op);

// Moves integers as it would move what they stand for: its first input.
bool MovesElements(const std::string& op);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_DEQUANTISE_H_
