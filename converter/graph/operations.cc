#include "converter/graph/operations.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace tied::converter {

namespace {

using Rank = OperationFacts::Rank;
using Type = OperationFacts::Type;

// Sorted by name.
constexpr OperationFacts kOperations[] = {
    {"Abs", Rank::kFirst, Type::kFirst},
    {"Add", Rank::kBroadcast, Type::kFirst},
    {"And", Rank::kBroadcast, Type::kBool},
    {"ArgMax", Rank::kReduction, Type::kInt64},
    {"BiasGelu", Rank::kFirst, Type::kFirst},
    {"Cast", Rank::kFirst, Type::kOther},
    {"Clip", Rank::kFirst, Type::kFirst},
    {"Concat", Rank::kFirst, Type::kFirst},
    {"ConstantOfShape", Rank::kOther, Type::kOther},
    {"CumSum", Rank::kFirst, Type::kFirst},
    {"DequantizeLinear", Rank::kFirst, Type::kSecond},
    {"Div", Rank::kBroadcast, Type::kFirst},
    {"Dropout", Rank::kFirst, Type::kFirst},
    {"DynamicQuantizeLinear", Rank::kFirst, Type::kOther},
    {"DynamicQuantizeMatMul", Rank::kProduct, Type::kFirst},
    {"Equal", Rank::kBroadcast, Type::kBool},
    {"Erf", Rank::kFirst, Type::kFirst},
    {"Exp", Rank::kFirst, Type::kFirst},
    {"Expand", Rank::kOther, Type::kFirst},
    {"FastGelu", Rank::kFirst, Type::kFirst},
    {"Flatten", Rank::kTwo, Type::kFirst, true},
    {"FusedMatMul", Rank::kProduct, Type::kFirst},
    {"Gather", Rank::kOther, Type::kFirst},
    {"GatherBlockQuantized", Rank::kOther, Type::kOther},
    {"Gelu", Rank::kFirst, Type::kFirst},
    {"Gemm", Rank::kTwo, Type::kFirst},
    {"Greater", Rank::kBroadcast, Type::kBool},
    {"GreaterOrEqual", Rank::kBroadcast, Type::kBool},
    {"GroupQueryAttention", Rank::kFirst, Type::kFirst},
    {"Identity", Rank::kFirst, Type::kFirst},
    {"If", Rank::kOther, Type::kOther},
    {"IsNaN", Rank::kFirst, Type::kBool},
    {"LayerNormalization", Rank::kFirst, Type::kFirst},
    {"Less", Rank::kBroadcast, Type::kBool},
    {"LessOrEqual", Rank::kBroadcast, Type::kBool},
    {"LogSoftmax", Rank::kFirst, Type::kFirst},
    {"Loop", Rank::kOther, Type::kOther},
    {"MatMul", Rank::kProduct, Type::kFirst},
    {"MatMulBnb4", Rank::kFirst, Type::kFirst},
    {"MatMulInteger", Rank::kProduct, Type::kOther},
    {"MatMulIntegerToFloat", Rank::kProduct, Type::kOther},
    {"MatMulNBits", Rank::kFirst, Type::kFirst},
    {"Max", Rank::kBroadcast, Type::kFirst},
    {"Min", Rank::kBroadcast, Type::kFirst},
    {"Mod", Rank::kBroadcast, Type::kFirst},
    {"Mul", Rank::kBroadcast, Type::kFirst},
    {"Neg", Rank::kFirst, Type::kFirst},
    {"Not", Rank::kFirst, Type::kBool},
    {"Or", Rank::kBroadcast, Type::kBool},
    {"Pad", Rank::kFirst, Type::kFirst},
    {"Pow", Rank::kBroadcast, Type::kFirst},
    {"QuantizeLinear", Rank::kFirst, Type::kOther},
    {"QuickGelu", Rank::kFirst, Type::kFirst},
    {"RMSNormalization", Rank::kFirst, Type::kFirst},
    {"Range", Rank::kOne, Type::kFirst},
    {"Reciprocal", Rank::kFirst, Type::kFirst},
    {"ReduceL2", Rank::kReduction, Type::kFirst},
    {"ReduceMax", Rank::kReduction, Type::kFirst},
    {"ReduceMean", Rank::kReduction, Type::kFirst},
    {"ReduceMin", Rank::kReduction, Type::kFirst},
    {"ReduceProd", Rank::kReduction, Type::kFirst},
    {"ReduceSum", Rank::kReduction, Type::kFirst},
    {"Relu", Rank::kFirst, Type::kFirst},
    {"Reshape", Rank::kOther, Type::kFirst, true},
    {"RotaryEmbedding", Rank::kFirst, Type::kFirst},
    {"Scan", Rank::kOther, Type::kOther},
    {"ScatterElements", Rank::kFirst, Type::kFirst},
    {"ScatterND", Rank::kFirst, Type::kFirst},
    {"Shape", Rank::kOne, Type::kInt64},
    {"Sigmoid", Rank::kFirst, Type::kFirst},
    {"SimplifiedLayerNormalization", Rank::kFirst, Type::kFirst},
    {"Size", Rank::kOther, Type::kInt64},
    {"SkipLayerNormalization", Rank::kFirst, Type::kFirst},
    {"SkipSimplifiedLayerNormalization", Rank::kFirst, Type::kFirst},
    {"Slice", Rank::kFirst, Type::kFirst},
    {"Softmax", Rank::kFirst, Type::kFirst},
    {"Softplus", Rank::kFirst, Type::kFirst},
    {"Split", Rank::kFirst, Type::kFirst},
    {"Sqrt", Rank::kFirst, Type::kFirst},
    {"Squeeze", Rank::kOther, Type::kFirst, true},
    {"Sub", Rank::kBroadcast, Type::kFirst},
    {"Sum", Rank::kBroadcast, Type::kFirst},
    {"Tanh", Rank::kFirst, Type::kFirst},
    {"TopK", Rank::kFirst, Type::kFirst},
    {"Transpose", Rank::kFirst, Type::kFirst},
    {"TransposeMatMul", Rank::kProduct, Type::kFirst},
    {"Trilu", Rank::kFirst, Type::kFirst},
    {"Unsqueeze", Rank::kOther, Type::kFirst, true},
    {"Where", Rank::kBroadcast, Type::kSecond},
};

constexpr OperationFacts kUnknown{""};
constexpr char kRuntimeDomain[] = "com.microsoft.";

}  // namespace

bool OperationFacts::passes_numbers() const {
  return is_view || std::strcmp(name, "Identity") == 0 || std::strcmp(name, "Cast") == 0;
}

const OperationFacts& FactsOf(const std::string& op) {
  const char* name = op.c_str() + (op.rfind(kRuntimeDomain, 0) == 0 ? sizeof kRuntimeDomain - 1 : 0);
  const auto* found =
      std::lower_bound(std::begin(kOperations), std::end(kOperations), name,
                       [](const OperationFacts& row, const char* wanted) { return std::strcmp(row.name, wanted) < 0; });
  return found != std::end(kOperations) && std::strcmp(found->name, name) == 0 ? *found : kUnknown;
}

}  // namespace tied::converter
