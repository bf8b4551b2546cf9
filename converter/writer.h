// Writes a .tied file (schema/FORMAT.md).
#ifndef TIED_CONVERTER_WRITER_H_
#define TIED_CONVERTER_WRITER_H_

#include <string>

#include "converter/error_meter.h"
#include "converter/plan.h"

namespace tied::converter {

// The file appears at `path` when it is complete and synced; until then, and on any failure, nothing is there.
// Streams: memory does not depend on the size of the table. `meter`, if given, sees every row of the first table.
void WriteFile(const Plan& plan, const std::string& path, const Progress& progress, ErrorMeter* meter = nullptr);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_WRITER_H_
