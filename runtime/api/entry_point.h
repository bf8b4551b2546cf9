// Finds the entry point that a call runs.
#ifndef TIED_RUNTIME_API_ENTRY_POINT_H_
#define TIED_RUNTIME_API_ENTRY_POINT_H_

#include "runtime/api/interpreter.h"

namespace tied::runtime {

// name: the entry point, or null to use the selectors among the inputs. With a name, given selectors must agree with
// it.
Status FindEntryPoint(const Graph& graph, const char* name, const Inputs& inputs, const EntryPoint** entry_point);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_ENTRY_POINT_H_
