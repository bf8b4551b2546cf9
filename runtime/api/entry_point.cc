#include "runtime/api/entry_point.h"

#include <cstring>

namespace tied::runtime {

namespace {

enum class Match { kYes, kNo, kMissing };

// Compares the selectors among the inputs with those of the entry point; *input names the one that decides.
Status MatchSelectors(const EntryPoint& entry_point, const Inputs& inputs, Match* match, const char** input) {
  *match = Match::kYes;
  for (const Selector& selector : entry_point.selectors) {
    const char* name = selector.input->name;
    const tied_tensor* tensor = inputs.Find(name);
    if (tensor == nullptr) {
      if (*match == Match::kYes) *input = name;
      if (*match == Match::kYes) *match = Match::kMissing;
      continue;
    }
    if (tensor->type != TIED_BOOL || tensor->data == nullptr || tensor->bytes < 1) {
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is a selector; it must be one Boolean", name);
    }
    for (size_t i = 0; i < tensor->rank && i < TIED_MAX_RANK; ++i) {
      if (tensor->dims[i] == 1) continue;
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is a selector; it must be one Boolean", name);
    }
    if ((*static_cast<const unsigned char*>(tensor->data) != 0) == selector.value) continue;
    *match = Match::kNo;
    *input = name;
    return Status();
  }
  return Status();
}

Status FindByName(const Graph& graph, const char* name, const Inputs& inputs, const EntryPoint** found) {
  for (const EntryPoint& entry_point : graph.entry_points()) {
    if (std::strcmp(entry_point.name, name) != 0) continue;
    Match match;
    const char* input = "";
    TIED_RETURN_IF_ERROR(MatchSelectors(entry_point, inputs, &match, &input));
    if (match == Match::kNo) {
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' does not select entry point '%s'", input, name);
    }
    *found = &entry_point;
    return Status();
  }
  return Status::Error(TIED_NOT_FOUND, "the model has no entry point '%s'", name);
}

}  // namespace

Status FindEntryPoint(const Graph& graph, const char* name, const Inputs& inputs, const EntryPoint** found) {
  if (name != nullptr) return FindByName(graph, name, inputs, found);
  const char* missing = nullptr;
  for (const EntryPoint& entry_point : graph.entry_points()) {
    Match match;
    const char* input = "";
    TIED_RETURN_IF_ERROR(MatchSelectors(entry_point, inputs, &match, &input));
    if (match == Match::kYes) {
      *found = &entry_point;
      return Status();
    }
    if (match == Match::kMissing) missing = input;
  }
  if (missing != nullptr) {
    return Status::Error(TIED_INVALID_ARGUMENT, "selector '%s' is missing; pass it or name an entry point", missing);
  }
  return Status::Error(TIED_INVALID_ARGUMENT, "the selectors match no entry point");
}

}  // namespace tied::runtime
