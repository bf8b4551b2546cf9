#include "converter/graph/products.h"

#include <algorithm>
#include <cctype>

namespace tied::converter {

namespace {

constexpr size_t kMaxBatch = 8;

// Digits for the last `count` batch dimensions, which are broadcast from the right. Equations use letters only.
std::string Batch(size_t count) { return std::string("01234567").substr(kMaxBatch - count); }

// The dimensions of one operand: batch dimensions, and the dimensions of the matrix in the order of the multiplication.
std::string OperandDims(size_t rank, const std::string& matrix, bool transposed, bool batch_in_middle) {
  if (rank == 1) return "k";
  const char first = matrix[transposed ? 1 : 0], last = matrix[transposed ? 0 : 1];
  const std::string batch = Batch(rank - 2);
  return batch_in_middle ? first + batch + last : batch + first + last;
}

std::optional<ProductDims> DimsOfMatMul(const Node& node, size_t rank_a, size_t rank_b) {
  if (rank_a == 0 || rank_b == 0 || std::max(rank_a, rank_b) > kMaxBatch + 2) return std::nullopt;
  ProductDims dims;
  dims.a = OperandDims(rank_a, "mk", node.Int("transA", 0) != 0, node.Int("transBatchA", 0) != 0);
  dims.b = OperandDims(rank_b, "kn", node.Int("transB", 0) != 0, node.Int("transBatchB", 0) != 0);
  dims.result = Batch(std::max<size_t>(std::max(rank_a, rank_b), 2) - 2);
  if (rank_a > 1) dims.result += 'm';
  if (rank_b > 1) dims.result += 'n';
  return dims;
}

// The letters of one term, with "..." replaced by its dimensions.
std::optional<std::string> ExpandTerm(const std::string& term, size_t rank) {
  const size_t dots = term.find("...");
  std::string letters = term;
  if (dots != std::string::npos) {
    const size_t others = term.size() - 3;
    if (rank < others || rank - others > kMaxBatch) return std::nullopt;
    letters.replace(dots, 3, Batch(rank - others));
  }
  const std::string named = dots == std::string::npos ? letters : term.substr(0, dots) + term.substr(dots + 3);
  if (letters.size() != rank) return std::nullopt;
  if (!std::all_of(named.begin(), named.end(), [](unsigned char c) { return std::isalpha(c) != 0; }))
    return std::nullopt;
  return letters;
}

// Without "->", the result has "..." first, then the letters that are not repeated, in alphabetical order.
std::string ImplicitResult(const std::string& a, const std::string& b) {
  std::string result = a.find("...") != std::string::npos || b.find("...") != std::string::npos ? "..." : "";
  std::string letters = a + b;
  letters.erase(std::remove(letters.begin(), letters.end(), '.'), letters.end());
  std::sort(letters.begin(), letters.end());
  for (const char letter : letters) {
    if (std::count(letters.begin(), letters.end(), letter) == 1) result += letter;
  }
  return result;
}

bool HasNoRepeats(std::string letters) {
  std::sort(letters.begin(), letters.end());
  return std::adjacent_find(letters.begin(), letters.end()) == letters.end();
}

std::optional<ProductDims> DimsOfEinsum(const Node& node, size_t rank_a, size_t rank_b) {
  const auto found = node.attributes.find("equation");
  if (found == node.attributes.end() || node.inputs.size() != 2) return std::nullopt;
  std::string equation = found->second.s;
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const size_t comma = equation.find(','), arrow = equation.find("->");
  if (comma == std::string::npos || (arrow != std::string::npos && arrow < comma)) return std::nullopt;
  const std::string first = equation.substr(0, comma);
  const std::string second = equation.substr(comma + 1, arrow == std::string::npos ? arrow : arrow - comma - 1);
  std::string result = arrow == std::string::npos ? ImplicitResult(first, second) : equation.substr(arrow + 2);
  const std::optional<std::string> a = ExpandTerm(first, rank_a), b = ExpandTerm(second, rank_b);
  if (!a || !b) return std::nullopt;
  if (const size_t dots = result.find("..."); dots != std::string::npos) {
    const auto batch_of = [](const std::string& term, size_t rank) {
      return term.find("...") == std::string::npos ? 0 : rank - (term.size() - 3);
    };
    result.replace(dots, 3, Batch(std::max(batch_of(first, rank_a), batch_of(second, rank_b))));
  }
  const bool made = std::all_of(result.begin(), result.end(), [&](char letter) {
    return a->find(letter) != std::string::npos || b->find(letter) != std::string::npos;
  });
  if (!made || !HasNoRepeats(*a) || !HasNoRepeats(*b) || !HasNoRepeats(result)) return std::nullopt;
  return ProductDims{*a, *b, result};
}

}  // namespace

bool IsProduct(const Node& node) {
  return node.op == "MatMul" || node.op == "com.microsoft.FusedMatMul" || node.op == "Gemm" || node.op == "Einsum";
}

std::optional<ProductDims> DimsOfProduct(const Node& node, size_t rank_a, size_t rank_b) {
  if (node.op == "Einsum") return DimsOfEinsum(node, rank_a, rank_b);
  if (node.op == "Gemm" && (rank_a != 2 || rank_b != 2)) return std::nullopt;
  return DimsOfMatMul(node, rank_a, rank_b);
}

}  // namespace tied::converter
