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
  using namespace operations;  // forty names, used here alone: NOLINT(google-build-using-namespace)
  static const std::map<std::string, Operation> kOperations = {
      {"Add", One<Add>},
      {"ArgMax", ArgMax},
      {"Cast", One<Cast>},
      {"Concat", One<Concat>},
      {"Constant", One<Constant>},
      {"ConstantOfShape", One<ConstantOfShape>},
      {"DequantizeLinear", One<DequantizeLinear>},
      {"Div", One<Div>},
      {"Dropout", One<Identity>},
      {"DynamicQuantizeLinear", DynamicQuantizeLinear},
      {"Einsum", One<MatMul>},
      {"Equal", One<Equal>},
      {"Expand", One<Expand>},
      {"Flatten", One<Flatten>},
      {"Gather", One<Gather>},
      {"Gemm", One<Gemm>},
      {"Identity", One<Identity>},
      {"LogSoftmax", One<LogSoftmax>},
      {"MatMul", One<MatMul>},
      {"MatMulInteger", One<MatMulInteger>},
      {"Mul", One<Mul>},
      {"Not", One<Not>},
      {"QLinearMatMul", One<QLinearMatMul>},
      {"QuantizeLinear", One<QuantizeLinear>},
      {"Reshape", One<Reshape>},
      {"Shape", One<Shape>},
      {"Slice", One<Slice>},
      {"Squeeze", One<Squeeze>},
      {"Sub", One<Sub>},
      {"Tanh", One<Tanh>},
      {"TopK", TopK},
      {"Transpose", One<Transpose>},
      {"Unsqueeze", One<Unsqueeze>},
      {"Where", One<Where>},
      {"com.microsoft.DequantizeLinear", One<DequantizeLinear>},
      {"com.microsoft.DynamicQuantizeMatMul", One<DynamicQuantizeMatMul>},
      {"com.microsoft.FusedMatMul", One<MatMul>},
      {"com.microsoft.GatherBlockQuantized", One<GatherBlockQuantized>},
      {"com.microsoft.MatMulIntegerToFloat", One<MatMulIntegerToFloat>},
      {"com.microsoft.MatMulNBits", One<MatMulNBits>},
      {"com.microsoft.QuantizeLinear", One<QuantizeLinear>},
  };
  const auto found = kOperations.find(op);
  return found == kOperations.end() ? nullptr : &found->second;
}

}  // namespace tied::converter
