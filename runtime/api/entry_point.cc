#include "runtime/api/entry_point.h"

#include <cstring>

namespace tied::runtime {

namespace {

enum class Match { kYes, kNo, kMissing };

// How the selectors among the inputs compare with the entry point's; *input names the one that decided.
Status MatchSelectors(const format::Header& header, const format::EntryPoint& entry_point, const Inputs& inputs,
                      Match* match, const char** input) {
  *match = Match::kYes;
  if (entry_point.selectors() == nullptr) return Status();
  for (const format::Selector* selector : *entry_point.selectors()) {
    const char* name = header.inputs()->Get(selector->input())->name()->c_str();
    const tied_tensor* tensor = inputs.Find(name);
    if (tensor == nullptr) {
      if (*match == Match::kYes) *input = name;
      if (*match == Match::kYes) *match = Match::kMissing;
      continue;
    }
    if (tensor->type != TIED_BOOL || tensor->data == nullptr || tensor->bytes < 1) {
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is a selector: it must be one Boolean", name);
    }
    for (size_t i = 0; i < tensor->rank && i < TIED_MAX_RANK; ++i) {
      if (tensor->dims[i] == 1) continue;
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is a selector: it must be one Boolean", name);
    }
    if ((*static_cast<const unsigned char*>(tensor->data) != 0) == selector->value()) continue;
    *match = Match::kNo;
    *input = name;
    return Status();
  }
  return Status();
}

Status FindByName(const format::Header& header, const char* name, const Inputs& inputs,
                  const format::EntryPoint** found) {
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    if (std::strcmp(entry_point->name()->c_str(), name) != 0) continue;
    Match match;
    const char* input = "";
    TIED_RETURN_IF_ERROR(MatchSelectors(header, *entry_point, inputs, &match, &input));
    if (match == Match::kNo) {
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' selects another entry point than '%s'", input, name);
    }
    *found = entry_point;
    return Status();
  }
  return Status::Error(TIED_NOT_FOUND, "the model has no entry point '%s'", name);
}

}  // namespace

Status FindEntryPoint(const format::Header& header, const char* name, const Inputs& inputs,
                      const format::EntryPoint** found) {
  if (name != nullptr) return FindByName(header, name, inputs, found);
  const char* missing = nullptr;
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    Match match;
    const char* input = "";
    TIED_RETURN_IF_ERROR(MatchSelectors(header, *entry_point, inputs, &match, &input));
    if (match == Match::kYes) {
      *found = entry_point;
      return Status();
    }
    if (match == Match::kMissing) missing = input;
  }
  if (missing != nullptr) {
    return Status::Error(TIED_INVALID_ARGUMENT, "the selector '%s' is missing: give it, or name an entry point",
                         missing);
  }
  return Status::Error(TIED_INVALID_ARGUMENT, "the selectors fit no entry point");
}

}  // namespace tied::runtime
