// The engine of the reference evaluation: runs nodes when one of their outputs is needed.
#ifndef TIED_CONVERTER_CHECK_EVALUATION_H_
#define TIED_CONVERTER_CHECK_EVALUATION_H_

#include <map>
#include <string>
#include <vector>

#include "converter/check/array.h"
#include "converter/check/evaluator.h"

namespace tied::converter {

// Evaluates one graph. Names that a branch captures are looked up in the enclosing graphs.
class Evaluation {
 public:
  Evaluation(const Graph& graph, const Evaluation* outer, Arithmetic arithmetic, const std::vector<bool>& kept);

  void Set(const std::string& name, Array value) { values_[name] = std::move(value); }
  const Array& Get(const std::string& name) const;

 private:
  friend class Call;

  void Make(const Node* last) const;
  void Run(const Node& node) const;
  std::vector<Array> RunIf(const Node& node) const;

  const Graph& graph_;
  std::map<std::string, const Node*> producers_;
  const Evaluation* outer_;
  const Arithmetic arithmetic_;
  const std::vector<bool>& kept_;
  mutable std::map<std::string, Array> values_;  // computed so far
};

// The node that is being computed: its attributes, and the values of its inputs.
class Call {
 public:
  Call(const Evaluation& evaluation, const Node& node) : evaluation_(evaluation), node_(node) {}

  const Node& node() const { return node_; }
  int64_t Int(const char* attribute, int64_t otherwise) const { return node_.Int(attribute, otherwise); }
  double Float(const char* attribute, float otherwise) const {
    return static_cast<double>(node_.Float(attribute, otherwise));
  }
  bool Has(size_t input) const { return !node_.Input(input).empty(); }
  const Array& Input(size_t i) const;
  const Array* OptionalInput(size_t i) const { return Has(i) ? &Input(i) : nullptr; }

  // Numbers that are an attribute in older opsets and an input in newer ones; empty if both are absent.
  std::vector<int64_t> Ints(size_t input, const char* attribute) const;

  // A dimension of an array of that rank; negative ones count from the end.
  size_t AxisOf(int64_t axis, size_t rank) const;

  bool magnitudes() const { return evaluation_.arithmetic_ == Arithmetic::kMagnitudes; }
  // An element, or its magnitude if magnitudes() is true.
  double Number(double value) const;
  double Number(const Array& array, int64_t position) const { return Number(array.Float(position)); }
  // The same for a number along the vocabulary: -infinity if its id was dropped.
  double Logit(const Array& array, int64_t position) const;

  [[noreturn]] void Refuse(const std::string& reason) const;

 private:
  const Evaluation& evaluation_;
  const Node& node_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_EVALUATION_H_
