// The operations of the reference evaluation, as ONNX defines them, in double precision.
#ifndef TIED_CONVERTER_CHECK_OPERATIONS_H_
#define TIED_CONVERTER_CHECK_OPERATIONS_H_

#include <string>
#include <vector>

#include "converter/check/evaluation.h"

namespace tied::converter {

// Computes the outputs of a node.
using Operation = std::vector<Array> (*)(const Call& call);

// op: a node's operation. Returns null if it is not supported.
const Operation* FindOperation(const std::string& op);

namespace operations {

// view.cc: operations that move elements without computing.
Array Constant(const Call& call);
Array Identity(const Call& call);
Array Shape(const Call& call);
Array Gather(const Call& call);
Array GatherFrom(const Call& call, const Array& data);
Array Expand(const Call& call);
Array ConstantOfShape(const Call& call);
Array Concat(const Call& call);
Array Slice(const Call& call);
Array Squeeze(const Call& call);
Array Unsqueeze(const Call& call);
Array Flatten(const Call& call);
Array Reshape(const Call& call);
Array Transpose(const Call& call);

// elementwise.cc
Array Cast(const Call& call);
Array Not(const Call& call);
Array Add(const Call& call);
Array Sub(const Call& call);
Array Mul(const Call& call);
Array Div(const Call& call);
Array Equal(const Call& call);
Array Where(const Call& call);
Array Tanh(const Call& call);
Array Divide(const Call& call, const Array& a, const Array& b);
// a + factor * (input `b` of the node); a if the node does not have that input.
Array WithBias(const Call& call, const Array& a, size_t b, double factor = 1);

// product.cc
Array MatMul(const Call& call);
Array Multiply(const Call& call, const Array& a, const Array& b);
Array Gemm(const Call& call);

// quantised.cc
std::vector<Array> DynamicQuantizeLinear(const Call& call);
Array QuantizeLinear(const Call& call);
Array DequantizeLinear(const Call& call);
Array QLinearMatMul(const Call& call);
Array MatMulInteger(const Call& call);
Array MatMulIntegerToFloat(const Call& call);
Array DynamicQuantizeMatMul(const Call& call);
Array MatMulNBits(const Call& call);
Array GatherBlockQuantized(const Call& call);

// selection.cc
std::vector<Array> ArgMax(const Call& call);
std::vector<Array> TopK(const Call& call);
Array LogSoftmax(const Call& call);

}  // namespace operations
}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_OPERATIONS_H_
