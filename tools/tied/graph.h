// Draws a model.
#ifndef TIED_TOOLS_TIED_GRAPH_H_
#define TIED_TOOLS_TIED_GRAPH_H_

#include <ostream>
#include <string>

#include "tools/tied/options.h"

namespace tied::cli {

// "[100, 64]", or "[100, 64] of 256 ids" if ids were dropped. table: an element of "tables" in that description.
std::string TableShapeText(const Json& table);

// `model`: the description that `tied inspect --json` prints.
void DrawText(const Json& model, std::ostream& out);
void DrawDot(const Json& model, std::ostream& out);  // Graphviz

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_GRAPH_H_
