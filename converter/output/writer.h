// Writes a .tied file (schema/FORMAT.md).
#ifndef TIED_CONVERTER_OUTPUT_WRITER_H_
#define TIED_CONVERTER_OUTPUT_WRITER_H_

#include <string>

#include "base/output_file.h"
#include "converter/output/error_meter.h"
#include "converter/output/plan.h"

namespace tied::converter {

// Writes and syncs the whole file; the caller commits it. Streams: memory does not depend on the size of the table.
// meter: measures every row of the first table, or null.
void WriteFile(const Plan& plan, OutputFile* file, const Progress& progress, ErrorMeter* meter = nullptr);

// The same, and commits the file.
void WriteFile(const Plan& plan, const std::string& path, const Progress& progress, ErrorMeter* meter = nullptr);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_WRITER_H_
