#include "converter/check/operations.h"

#include <map>

namespace tied::converter {

namespace {

template <Array (*Compute)(const Call&)>
std::vector<Array> One(const Call& call) {
  return {Compute(call)};
}

}  // namespace

const Operation* FindOperation(const std::string& op) {
  using namespace operations;
  static const std::map<std::string, Operation> kOperations = {
      {"Add", One<Add>},
      {"ArgMax", ArgMax},
      {"Cast", One<Identity>},
      {"Concat", One<Concat>},
      {"Constant", One<Constant>},
      {"DequantizeLinear", One<DequantizeLinear>},
      {"Dropout", One<Identity>},
      {"DynamicQuantizeLinear", DynamicQuantizeLinear},
      {"Flatten", One<Flatten>},
      {"Gather", One<Gather>},
      {"Gemm", One<Gemm>},
      {"Identity", One<Identity>},
      {"LogSoftmax", One<LogSoftmax>},
      {"MatMul", One<MatMul>},
      {"MatMulInteger", One<MatMulInteger>},
      {"Mul", One<Mul>},
      {"Not", One<Not>},
      {"QuantizeLinear", One<QuantizeLinear>},
      {"Reshape", One<Reshape>},
      {"Shape", One<Shape>},
      {"Slice", One<Slice>},
      {"Squeeze", One<Squeeze>},
      {"TopK", TopK},
      {"Transpose", One<Transpose>},
      {"Unsqueeze", One<Unsqueeze>},
      {"com.microsoft.DynamicQuantizeMatMul", One<DynamicQuantizeMatMul>},
      {"com.microsoft.FusedMatMul", One<MatMul>},
      {"com.microsoft.GatherBlockQuantized", One<GatherBlockQuantized>},
      {"com.microsoft.MatMulIntegerToFloat", One<MatMulIntegerToFloat>},
      {"com.microsoft.MatMulNBits", One<MatMulNBits>},
  };
  const auto found = kOperations.find(op);
  return found == kOperations.end() ? nullptr : &found->second;
}

}  // namespace tied::converter
