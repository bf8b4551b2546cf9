// Rows and hidden states that an export has as integers alone.
#ifndef TIED_CONVERTER_SPLIT_INTEGERS_H_
#define TIED_CONVERTER_SPLIT_INTEGERS_H_

#include <onnx/onnx_pb.h>

#include <set>
#include <string>

namespace tied::converter {

// Behind each Gather on a matrix of integers by `ids`, in subgraphs too, comes one DequantizeLinear for all users:
// those that have the numbers computed each for itself, and those that compute with the integers, which are rounded
// from the numbers again, without a loss.
void UniteIntegerRows(const std::set<std::string>& ids, onnx::GraphProto* graph);

// Where output `index` is dequantised from a QLinearMatMul of integers that another integer operation makes, the
// product gets them rounded, without a loss, from the numbers that they stand for.
void RestoreHidden(int index, onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_INTEGERS_H_
