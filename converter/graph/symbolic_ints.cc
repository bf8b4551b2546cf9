#include "converter/graph/symbolic_ints.h"

#include <algorithm>
#include <set>

#include "schema/checked_math.h"

namespace tied::converter {

namespace {

using Kind = SymbolicInt::Kind;

SymbolicInt BroadcastDim(const SymbolicInt& a, const SymbolicInt& b) {
  if (a.IsConstant(1) || a == b) return b;
  if (b.IsConstant(1)) return a;
  // A number other than 1 is the result, whatever the other dimension is.
  if (a.kind == Kind::kConstant) return a;
  return b.kind == Kind::kConstant ? b : SymbolicInt{};
}

SymbolicInt Add(const SymbolicInt& a, const SymbolicInt& b, int64_t sign) {
  if (b.IsConstant(0)) return a;
  if (a.IsConstant(0) && sign > 0) return b;
  int64_t term = 0, sum = 0;
  if (a.kind != Kind::kConstant || b.kind != Kind::kConstant) return {};
  const bool fits = CheckedMultiply(b.value, sign, &term) && CheckedAdd(a.value, term, &sum);
  return fits ? SymbolicInt::Constant(sum) : SymbolicInt{};
}

SymbolicInt Multiply(const SymbolicInt& a, const SymbolicInt& b) {
  if (a.IsConstant(1)) return b;
  if (b.IsConstant(1)) return a;
  int64_t product = 0;
  const bool numbers = a.kind == Kind::kConstant && b.kind == Kind::kConstant;
  return numbers && CheckedMultiply(a.value, b.value, &product) ? SymbolicInt::Constant(product) : SymbolicInt{};
}

SymbolicInt Divide(const SymbolicInt& a, const SymbolicInt& b) {
  if (b.IsConstant(1)) return a;
  const bool numbers = a.kind == Kind::kConstant && b.kind == Kind::kConstant && a.value >= 0 && b.value > 0;
  return numbers ? SymbolicInt::Constant(a.value / b.value) : SymbolicInt{};
}

// Uses that dimensions are not negative.
SymbolicInt Equal(const SymbolicInt& a, const SymbolicInt& b) {
  if (a == b) return SymbolicInt::Constant(1);
  const bool numbers = a.kind == Kind::kConstant && b.kind == Kind::kConstant;
  const auto never = [](const SymbolicInt& dim, const SymbolicInt& number) {
    return dim.kind == Kind::kInputDim && number.kind == Kind::kConstant && number.value < 0;
  };
  return numbers || never(a, b) || never(b, a) ? SymbolicInt::Constant(0) : SymbolicInt{};
}

SymbolicInt Where(const SymbolicInt& condition, const SymbolicInt& then, const SymbolicInt& otherwise) {
  if (condition.kind != Kind::kConstant) return then == otherwise ? then : SymbolicInt{};
  return condition.value != 0 ? then : otherwise;
}

}  // namespace

SymbolicInt Multiplied(SymbolicShape::const_iterator begin, SymbolicShape::const_iterator end) {
  int64_t number = 1;
  std::vector<SymbolicInt> others;
  for (; begin != end; ++begin) {
    if (begin->kind != Kind::kConstant) {
      others.push_back(*begin);
    } else if (!CheckedMultiply(number, begin->value, &number)) {
      return {};
    }
  }
  if (others.empty()) return SymbolicInt::Constant(number);
  return others.size() == 1 && number == 1 ? others[0] : SymbolicInt{};
}

std::optional<SymbolicShape> BroadcastDims(const SymbolicShape& a, const SymbolicShape& b) {
  const SymbolicShape& longer = a.size() >= b.size() ? a : b;
  const SymbolicShape& shorter = a.size() >= b.size() ? b : a;
  SymbolicShape dims = longer;
  const size_t lead = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    const SymbolicInt &x = longer[lead + i], &y = shorter[i];
    const bool differ = x.kind == Kind::kConstant && y.kind == Kind::kConstant && x.value != y.value;
    if (differ && x.value != 1 && y.value != 1) return std::nullopt;
    dims[lead + i] = BroadcastDim(x, y);
  }
  return dims;
}

bool IsElementwise(const Node& node) {
  static const std::set<std::string> kOps = {"Add", "Sub", "Mul", "Div", "Equal", "Where"};
  return kOps.count(node.op) > 0;
}

std::optional<SymbolicShape> ComputeContents(const Node& node, const std::vector<const SymbolicShape*>& inputs) {
  if (inputs.size() != (node.op == "Where" ? 3 : 2)) return std::nullopt;
  size_t size = 1;
  for (const SymbolicShape* input : inputs) {
    if (input->size() != 1) size = input->size();
  }
  for (const SymbolicShape* input : inputs) {
    if (input->size() != 1 && input->size() != size) return std::nullopt;
  }
  SymbolicShape computed(size);
  for (size_t i = 0; i < size; ++i) {
    const auto element = [&](size_t input) { return (*inputs[input])[inputs[input]->size() == 1 ? 0 : i]; };
    if (node.op == "Add") computed[i] = Add(element(0), element(1), 1);
    if (node.op == "Sub") computed[i] = Add(element(0), element(1), -1);
    if (node.op == "Mul") computed[i] = Multiply(element(0), element(1));
    if (node.op == "Div") computed[i] = Divide(element(0), element(1));
    if (node.op == "Equal") computed[i] = Equal(element(0), element(1));
    if (node.op == "Where") computed[i] = Where(element(0), element(1), element(2));
  }
  return computed;
}

}  // namespace tied::converter
