// Shows the progress of long steps on a terminal.
#ifndef TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_
#define TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_

#include "converter/convert.h"

namespace tied::converter {

// Draws a bar on standard error if that is a terminal, and erases it at the end of each step.
StepProgress MakeProgressBar();

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_PROGRESS_BAR_H_
