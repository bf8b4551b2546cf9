#include "tests/support/kept_rows.h"

#include <memory>
#include <string>
#include <utility>

namespace tied::test {

TiedFile KeepRows(TiedFile full, const std::vector<uint32_t>& ids) {
  const std::string bytes = full.Bytes();
  TiedFile kept;
  kept.header = std::move(full.header);
  format::TiedTableT& table = *kept.header.tables[0];
  const auto rows = static_cast<size_t>(table.rows);
  const auto restrict = [&](std::unique_ptr<format::Plane>& plane) {
    if (plane == nullptr) return;
    const std::string all = bytes.substr(static_cast<size_t>(plane->offset()), static_cast<size_t>(plane->length()));
    std::string some;
    for (const uint32_t id : ids) some += all.substr(id * (all.size() / rows), all.size() / rows);
    const std::string& content = all.size() % rows == 0 ? some : all;
    plane = std::make_unique<format::Plane>(kept.AddPlane(content.data(), content.size()));
  };
  restrict(table.values);
  restrict(table.scales);
  restrict(table.zero_points);
  if (table.screen != nullptr) {
    for (auto* plane : {&table.screen->upper, &table.screen->lower, &table.screen->scales, &table.screen->upper_norms,
                        &table.screen->norms}) {
      restrict(*plane);
    }
  }
  for (const auto& entry_point : kept.header.entry_points) {
    for (const auto& op : entry_point->ops) {
      if (format::HeadT* head = op->operation.AsHead()) restrict(head->bias);
    }
  }
  table.rows = ids.size();
  table.vocabulary = rows;
  if (ids.back() >= ids.size()) table.ids = std::make_unique<format::Plane>(kept.AddPlane(ids));
  return kept;
}

}  // namespace tied::test
