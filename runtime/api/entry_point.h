// Which entry point a call means.
#ifndef TIED_RUNTIME_API_ENTRY_POINT_H_
#define TIED_RUNTIME_API_ENTRY_POINT_H_

#include "runtime/api/interpreter.h"

namespace tied::runtime {

// By name (null: by the selectors among the inputs); with a name, selectors that are given must agree.
Status FindEntryPoint(const Graph& graph, const char* name, const Inputs& inputs, const EntryPoint** entry_point);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_ENTRY_POINT_H_
