// Rounds constants to integers, and back.
#ifndef TIED_CONVERTER_PASSES_CONSTANT_ROUNDING_H_
#define TIED_CONVERTER_PASSES_CONSTANT_ROUNDING_H_

#include <cstdint>
#include <optional>

#include "converter/graph/graph.h"
#include "converter/passes/quantised_tables.h"

namespace tied::converter {

// What QuantizeLinear does with a number: clamp(round(number / scale) + zero point).
struct Step {
  float scale;
  int64_t zero_point;
  ElementType type;  // int8 or uint8

  unsigned char Round(float number) const;
};

// The step of a QuantizeLinear; nullopt if it is not one positive number, or the type has not 8 bits.
std::optional<Step> StepOf(const Graph& graph, const Node& node);

// A matrix of 8-bit integers with one scale, dequantised and rounded again: the same integers behind a map of bytes.
// nullopt for other matrices. Throws ConvertError if all numbers become equal.
std::optional<TensorRef> RoundedTable(const Node& node, const TensorRef& table, const Step& step);

// A floating-point number or vector, rounded; nullopt for others.
std::optional<TensorRef> RoundedNumbers(const TensorRef& numbers, const Step& step);

// An integer or a vector of integers, dequantised; nullopt for others.
std::optional<TensorRef> DequantisedNumbers(const Graph& graph, const TensorRef& tensor, const IntegerNames& names);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_CONSTANT_ROUNDING_H_
