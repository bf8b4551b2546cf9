// A line on a terminal that says how far a long step is.
#ifndef TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_
#define TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_

#include <cstdint>

#include "converter/graph/table_source.h"

namespace tied::converter {

// Draws on stderr, and only if that is a terminal. `step`: what is going on, "writing".
Progress MakeProgressBar(const char* step);

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_
