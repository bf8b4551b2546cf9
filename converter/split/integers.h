// Rows and hidden states that an export has only as integers.
#ifndef TIED_CONVERTER_SPLIT_INTEGERS_H_
#define TIED_CONVERTER_SPLIT_INTEGERS_H_

#include <onnx/onnx_pb.h>

#include <set>
#include <string>

namespace tied::converter {

// Adds one DequantizeLinear for all users after each Gather on a matrix of integers by `ids`, also in subgraphs. Users
// that dequantised the integers themselves use its result; users that compute with integers round its result again,
// without loss.
void UniteIntegerRows(const std::set<std::string>& ids, onnx::GraphProto* graph);

// If output `index` is dequantised from a QLinearMatMul whose integers come from another integer operation, inserts a
// DequantizeLinear and a QuantizeLinear before the product, without loss, so that hidden states exist as numbers.
void RestoreHidden(int index, onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_INTEGERS_H_
