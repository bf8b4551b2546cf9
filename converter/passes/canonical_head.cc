#include <algorithm>
#include <optional>

#include "converter/graph/products.h"
#include "converter/passes/matrix.h"
#include "converter/passes/passes.h"
#include "converter/passes/transposes.h"

namespace tied::converter {

namespace {

// The rank of a value from its shape, or from the Transpose that produces it.
std::optional<size_t> RankOf(const Graph& graph, const std::string& value, const Shapes& shapes) {
  if (const SymbolicShape* dims = shapes.Find(value)) return dims->size();
  const Node* producer = graph.FindProducer(value);
  const auto perm = producer == nullptr ? std::nullopt : PermOf(*producer, shapes);
  return perm ? std::optional(perm->size()) : std::nullopt;
}

// The permutation of a Transpose from the dimensions `from` to `letters`.
std::vector<size_t> PermBetween(const std::string& from, const std::string& letters) {
  std::vector<size_t> perm;
  for (const char letter : letters) perm.push_back(from.find(letter));
  return perm;
}

std::string Without(std::string letters, char letter) {
  letters.erase(std::remove(letters.begin(), letters.end(), letter), letters.end());
  return letters;
}

// A product as a head: hidden states, the letters of their dimensions, and the letters of the result.
struct Heading {
  std::string hidden;
  std::string letters;
  std::string result;
  char col;
  char row;
  bool transposed;  // the matrix is [cols, rows]
};

// nullopt if more than one dimension is summed over, or if the operands share a dimension of the result.
std::optional<Heading> MatchLetters(const ProductDims& dims, bool matrix_first, const Matrix& matrix) {
  Heading heading{"", matrix_first ? dims.b : dims.a, dims.result, 0, 0, false};
  const std::string& letters = matrix_first ? dims.a : dims.b;
  if (letters.size() != 2 || heading.letters.empty()) return std::nullopt;
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const bool in_hidden = heading.letters.find(letters[i]) != std::string::npos;
    const bool in_result = heading.result.find(letters[i]) != std::string::npos;
    if (in_hidden && !in_result) heading.col = letters[i];
    if (!in_hidden && in_result) heading.row = letters[i];
    if (in_hidden && !in_result) heading.transposed = (i == 0) != matrix.transposed;
  }
  if (heading.col == 0 || heading.row == 0) return std::nullopt;
  std::string tokens = Without(heading.letters, heading.col), made = Without(heading.result, heading.row);
  std::sort(tokens.begin(), tokens.end());
  std::sort(made.begin(), made.end());
  return tokens == made ? std::optional(heading) : std::nullopt;
}

class Heads {
 public:
  Heads(Graph graph, const Shapes& shapes) : graph_(std::move(graph)), shapes_(shapes) {}

  Graph Run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node node = graph_.nodes[i];
      if (!IsProduct(node) || node.outputs.empty()) continue;
      std::vector<Node> by = Replace(node);
      if (by.empty()) continue;
      const size_t count = by.size();
      const auto at = graph_.nodes.erase(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(i));
      graph_.nodes.insert(at, by.begin(), by.end());
      i += count - 1;
    }
    return std::move(graph_);
  }

 private:
  std::vector<Node> Replace(const Node& node) const {
    const std::optional<Matrix> first = FindMatrix(graph_, node.Input(0)), second = FindMatrix(graph_, node.Input(1));
    if (first.has_value() == second.has_value()) return {};
    const Matrix& matrix = first ? *first : *second;
    const std::string& hidden = node.Input(first ? 1 : 0);
    const bool gemm = node.op == "Gemm";
    if (gemm &&
        (node.Float("beta", 1) != 1 || (!node.Input(2).empty() && graph_.FindConstant(node.Input(2)) == nullptr)))
      return {};
    const std::optional<size_t> rank = RankOf(graph_, hidden, shapes_);
    if (!rank) return ReplaceOfUnknownRank(node, matrix);
    const auto dims = first ? DimsOfProduct(node, 2, *rank) : DimsOfProduct(node, *rank, 2);
    std::optional<Heading> heading = dims ? MatchLetters(*dims, first.has_value(), matrix) : std::nullopt;
    if (!heading) return {};
    heading->hidden = hidden;
    PassTransposes(&*heading);
    return Lower(node, *heading, matrix);
  }

  // If the matrix is on the right, only the last dimension of hidden states matters.
  std::vector<Node> ReplaceOfUnknownRank(const Node& node, const Matrix& matrix) const {
    const bool plain = node.Int("transA", 0) == 0 && node.Int("transBatchA", 0) == 0 && node.op != "Einsum";
    if (!plain || FindMatrix(graph_, node.Input(0))) return {};
    const bool transposed = matrix.transposed == (node.Int("transB", 0) != 0);
    return {Head(node, node.Input(0), matrix.constant, transposed, node.outputs[0])};
  }

  // Skips Transposes of the hidden states.
  void PassTransposes(Heading* heading) const {
    const Node* producer = graph_.FindProducer(heading->hidden);
    for (; producer != nullptr; producer = graph_.FindProducer(heading->hidden)) {
      const std::optional<std::vector<size_t>> perm = PermOf(*producer, shapes_);
      if (!perm || perm->size() != heading->letters.size()) return;
      std::string before(perm->size(), ' ');
      for (size_t i = 0; i < perm->size(); ++i) before[(*perm)[i]] = heading->letters[i];
      heading->letters = before;
      heading->hidden = producer->Input(0);
    }
  }

  // A Transpose that moves the columns to the end, the head, and a Transpose to the order of the result. Transposes
  // that move nothing are omitted.
  std::vector<Node> Lower(const Node& node, const Heading& heading, const Matrix& matrix) const {
    std::vector<Node> nodes;
    std::string tokens = Without(heading.letters, heading.col);
    std::string hidden = heading.hidden;
    const auto in = PermBetween(heading.letters, tokens + heading.col);
    if (!KeepsOrder(in, OnesOf(heading))) {
      hidden = graph_.FreshName(node.outputs[0] + "/hidden");
      nodes.push_back(MakeTranspose(node, heading.hidden, hidden, in));
    }
    const std::string made = tokens + heading.row;
    const auto out = PermBetween(made, heading.result);
    const bool in_order = KeepsOrder(out, OnesOf(heading, made));
    const std::string logits = in_order ? node.outputs[0] : graph_.FreshName(node.outputs[0] + "/logits");
    nodes.push_back(Head(node, hidden, matrix.constant, heading.transposed, logits));
    if (!in_order) nodes.push_back(MakeTranspose(node, logits, node.outputs[0], out));
    return nodes;
  }

  std::vector<bool> OnesOf(const Heading& heading) const { return OnesOf(heading, heading.letters); }

  // True for each letter whose dimension is known to be 1.
  std::vector<bool> OnesOf(const Heading& heading, const std::string& letters) const {
    std::vector<bool> ones(letters.size());
    const SymbolicShape* dims = shapes_.Find(heading.hidden);
    if (dims == nullptr || dims->size() != heading.letters.size()) return ones;
    for (size_t i = 0; i < letters.size(); ++i) {
      const size_t at = heading.letters.find(letters[i]);
      ones[i] = at != std::string::npos && (*dims)[at].IsConstant(1);
    }
    return ones;
  }

  static Node Head(const Node& node, const std::string& hidden, const std::string& table, bool transposed,
                   const std::string& logits) {
    Node head{"tied.Head", node.name, {hidden, table}, {logits}, {}};
    head.stands_for = node.op;
    head.attributes["transposed"].i = transposed;
    if (node.Float("alpha", 1) != 1) head.attributes["scale"].f = node.Float("alpha", 1);
    if (node.op == "Gemm" && !node.Input(2).empty()) head.inputs.push_back(node.Input(2));
    return head;
  }

  Graph graph_;
  const Shapes& shapes_;
};

}  // namespace

Graph CanonicalHead(Graph graph, const Shapes& shapes) {
  return DropTransposes(Heads(std::move(graph), shapes).Run(), shapes);
}

}  // namespace tied::converter
