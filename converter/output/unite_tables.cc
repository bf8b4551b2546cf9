#include "converter/output/unite_tables.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"

namespace tied::converter {

namespace {

size_t* TableOf(PlannedOp* op) {
  if (auto* gather = std::get_if<EmbeddingOp>(&op->operation)) return &gather->table;
  if (auto* head = std::get_if<HeadOp>(&op->operation)) return &head->table;
  return nullptr;
}

// The table of the first operation of a kind.
template <class Op>
std::optional<size_t> FirstTableOf(const Plan& plan) {
  for (const PlannedEntryPoint& entry_point : plan.entry_points) {
    for (const PlannedOp& op : entry_point.ops) {
      if (const auto* found = std::get_if<Op>(&op.operation)) return found->table;
    }
  }
  return std::nullopt;
}

std::string Describe(const TableSource& table) {
  return "'" + table.tensor.name + "' [" + std::to_string(table.rows()) + ", " + std::to_string(table.cols()) + "]";
}

class Uniter {
 public:
  Uniter(bool allow_untied, Tie tie, const Progress& progress, Plan* plan)
      : allow_untied_(allow_untied), tie_(tie), progress_(progress), plan_(plan) {}

  void Run() {
    FindDistinct();
    if (distinct_.size() > 1) {
      if (tie_ != Tie::kNone) MoveUses(ChooseKept());
      if (!allow_untied_) RefuseUntied();
    }
    std::vector<TableSource> tables;
    std::map<size_t, size_t> placed;  // from distinct_ to tables
    for (const size_t reads : reads_) {
      if (placed.emplace(reads, tables.size()).second) tables.push_back(distinct_[reads]);
    }
    SetTables(placed);
    plan_->tables = std::move(tables);
    plan_->encodings.resize(plan_->tables.size());
  }

 private:
  // The embedding's table comes first, because it is stored by rows.
  void FindDistinct() {
    const size_t first = FirstTableOf<EmbeddingOp>(*plan_).value_or(0);
    distinct_ = {plan_->tables[first]};
    for (const TableSource& table : plan_->tables) {
      const auto same = std::find_if(distinct_.begin(), distinct_.end(), [&](const TableSource& other) {
        return other.SamePlace(table) || SameValues(other, table, progress_);
      });
      index_.push_back(static_cast<size_t>(same - distinct_.begin()));
      if (same == distinct_.end()) distinct_.push_back(table);
    }
    reads_.resize(distinct_.size());
    std::iota(reads_.begin(), reads_.end(), size_t{0});
  }

  bool SameShape(size_t a, size_t b) const {
    return distinct_[a].rows() == distinct_[b].rows() && distinct_[a].cols() == distinct_[b].cols();
  }

  // Caches results, so that two tables are compared only once.
  TableDifference Compare(size_t a, size_t b) {
    if (a > b) return Compare(b, a).Swapped();
    const auto [found, is_new] = differences_.try_emplace({a, b});
    if (is_new) found->second = CompareTables(distinct_[a], distinct_[b], progress_);
    return found->second;
  }

  size_t ChooseKept() {
    if (tie_ == Tie::kFiner) {
      size_t finest = 0;
      for (size_t i = 1; i < distinct_.size(); ++i) {
        if (!SameShape(finest, i)) continue;
        const TableDifference difference = Compare(finest, i);
        if (difference.one_matrix() && difference.rounding_b < difference.rounding_a) finest = i;
      }
      return finest;
    }
    const std::optional<size_t> table =
        tie_ == Tie::kHead ? FirstTableOf<HeadOp>(*plan_) : FirstTableOf<EmbeddingOp>(*plan_);
    if (!table) throw ConvertError(std::string("the model has no ") + (tie_ == Tie::kHead ? "lm_head" : "embedding"));
    return index_[*table];
  }

  void MoveUses(size_t kept) {
    for (size_t i = 0; i < distinct_.size(); ++i) {
      if (i != kept && SameShape(i, kept) && Compare(i, kept).one_matrix()) reads_[i] = kept;
    }
  }

  void RefuseUntied() {
    const auto other = std::find_if(reads_.begin(), reads_.end(), [&](size_t reads) { return reads != reads_[0]; });
    if (other == reads_.end()) return;
    const size_t a = reads_[0], b = *other;
    std::string message = "the embedding and the lm_head are not tied: tables " + Describe(distinct_[a]) + " and " +
                          Describe(distinct_[b]) + " ";
    if (!SameShape(a, b)) throw ConvertError(message + "differ; --allow-untied keeps both");
    const TableDifference difference = Compare(a, b);
    message += difference.Describe();
    if (difference.one_matrix()) {
      throw ConvertError(message +
                         ", which their rounding explains: --tie keeps the finer one, --tie embedding or --tie head "
                         "the named one, and --allow-untied both");
    }
    throw ConvertError(message + "; --allow-untied keeps both");
  }

  void SetTables(const std::map<size_t, size_t>& placed) {
    for (PlannedEntryPoint& entry_point : plan_->entry_points) {
      for (PlannedOp& op : entry_point.ops) {
        size_t* table = TableOf(&op);
        if (table == nullptr) continue;
        const size_t own = index_[*table], reads = reads_[own];
        *table = placed.at(reads);
        if (own == reads) continue;
        op.moved = plan_->moved.size();
        const bool is_head = std::holds_alternative<HeadOp>(op.operation);
        plan_->moved.push_back({is_head, distinct_[own], *table, Compare(own, reads)});
      }
    }
  }

  const bool allow_untied_;
  const Tie tie_;
  const Progress& progress_;
  Plan* const plan_;
  std::vector<TableSource> distinct_;
  std::vector<size_t> index_;  // of the plan's tables in distinct_
  std::vector<size_t> reads_;  // for each of distinct_, the one that is read instead
  std::map<std::pair<size_t, size_t>, TableDifference> differences_;
};

}  // namespace

void UniteTables(bool allow_untied, Tie tie, const Progress& progress, Plan* plan) {
  Uniter(allow_untied, tie, progress, plan).Run();
}

}  // namespace tied::converter
