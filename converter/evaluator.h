// A naive evaluation of an ONNX graph as it stands in the file, to check a conversion against.
#ifndef TIED_CONVERTER_EVALUATOR_H_
#define TIED_CONVERTER_EVALUATOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "converter/graph.h"

namespace tied::converter {

// A tensor of floating-point numbers or of integers (Booleans included), with strides: a transposition moves nothing.
struct Array {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;  // in elements
  bool integers = false;
  std::shared_ptr<const void> owner;  // keeps what the pointers lead to
  const float* floats = nullptr;      // one of these three
  const double* doubles = nullptr;
  const int64_t* ints = nullptr;
  std::shared_ptr<const Array> ranked;  // of ids that ArgMax or TopK has made: what they are positions in

  static Array OfInts(std::vector<int64_t> dims, std::vector<int64_t> values);
  static Array OfDoubles(std::vector<int64_t> dims, std::vector<double> values);

  int64_t size() const;
  // The element at a row-major position.
  double Float(int64_t position) const;
  int64_t Int(int64_t position) const;

 private:
  int64_t Offset(int64_t position) const;
};

// What to compute: the values, or with every number replaced by its magnitude, which turns each sum of products into
// the sum that error bounds are made of. The k largest of some sums are off by no more than the worst of them: their
// magnitude is the largest of all.
enum class Arithmetic { kValues, kMagnitudes };

// Computes the graph's outputs, in double precision, with its Ifs and without any of the passes. Throws ConvertError
// for an operation it does not know.
std::map<std::string, Array> Evaluate(const Graph& graph, const std::map<std::string, Array>& inputs,
                                      Arithmetic arithmetic);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_EVALUATOR_H_
