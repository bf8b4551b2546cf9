// The two halves of Dequantise().
#ifndef TIED_CONVERTER_PASSES_DEQUANTISE_H_
#define TIED_CONVERTER_PASSES_DEQUANTISE_H_

#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// DequantizeLinear of constants, GatherBlockQuantized and MatMulNBits.
Graph DequantiseTables(Graph graph);

// Operations on integers to which hidden states are rounded.
Graph DequantiseProducts(Graph graph);

// The operation without ONNX Runtime's domain, which has ONNX's operations for more types.
std::string WithoutDomain(const std::string& op);

// True for operations that move the elements of their first input, whether quantised or not.
bool MovesElements(const std::string& op);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_DEQUANTISE_H_
