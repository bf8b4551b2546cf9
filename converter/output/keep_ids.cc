#include "converter/output/keep_ids.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "converter/output/id_list.h"

namespace tied::converter {

namespace {

// The kept ids of a table; null if all are kept.
std::shared_ptr<const std::vector<uint32_t>> KeptOf(const TableSource& table, const std::vector<bool>& kept) {
  auto ids = std::make_shared<std::vector<uint32_t>>();
  for (uint32_t id = 0; id < table.vocabulary(); ++id) {
    if (kept[id]) ids->push_back(id);
  }
  if (ids->empty()) throw ConvertError("no token id of table '" + table.tensor.name + "' is left");
  if (ids->size() == table.vocabulary()) return nullptr;
  return ids;
}

TensorRef KeptOf(const TensorRef& bias, const std::vector<uint32_t>& ids) {
  const std::vector<float> all = bias.ReadFloats();
  std::string bytes;
  for (const uint32_t id : ids) bytes.append(reinterpret_cast<const char*>(&all.at(id)), sizeof(float));
  TensorRef some = bias;
  some.SetBytes(std::move(bytes));
  some.type = ElementType::kFloat32;
  some.dims = {static_cast<int64_t>(ids.size())};
  return some;
}

void Restrict(Plan* plan, const std::vector<bool>& kept) {
  for (TableSource& table : plan->tables) table.kept_ids = KeptOf(table, kept);
  std::vector<bool> done(plan->biases.size());
  for (PlannedEntryPoint& entry_point : plan->entry_points) {
    for (PlannedOp& op : entry_point.ops) {
      const auto* head = std::get_if<HeadOp>(&op.operation);
      if (head == nullptr) continue;
      const TableSource& table = plan->tables[head->table];
      if (static_cast<uint64_t>(head->k) > table.rows()) {
        throw ConvertError("output '" + plan->outputs[op.output].name + "' is the " + std::to_string(head->k) +
                           " best, but only " + std::to_string(table.rows()) + " token ids are left");
      }
      if (table.kept_ids == nullptr || head->bias < 0) continue;
      const auto bias = static_cast<size_t>(head->bias);
      if (!done[bias]) plan->biases[bias] = KeptOf(plan->biases[bias], *table.kept_ids);
      done[bias] = true;
    }
  }
}

uint64_t VocabularyOf(const Plan& plan) {
  uint64_t vocabulary = 0;
  for (const TableSource& table : plan.tables) vocabulary = std::max(vocabulary, table.vocabulary());
  return vocabulary;
}

}  // namespace

void KeepIds(Plan* plan, const std::string& path) { Restrict(plan, ReadIdFile(path, VocabularyOf(*plan))); }

void DropIds(Plan* plan, const std::string& path) {
  std::vector<bool> kept = ReadIdFile(path, VocabularyOf(*plan));
  kept.flip();
  Restrict(plan, kept);
}

}  // namespace tied::converter
