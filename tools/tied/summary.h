// Prints a summary of a tensor, or writes it to a file.
#ifndef TIED_TOOLS_TIED_SUMMARY_H_
#define TIED_TOOLS_TIED_SUMMARY_H_

#include <memory>
#include <string>

#include "base/output_file.h"
#include "tools/tied/npy.h"
#include "tools/tied/options.h"

namespace tied::cli {

// name, type, shape, min, max and the first few values.
Json SummaryJson(const std::string& name, const Array& array);

// The same, on one line.
void PrintSummary(const std::string& name, const Array& array);

// The file of -o, created before anything is computed; null for "". Throws UsageError if JSON also goes to standard
// output, and CommandError for a terminal.
std::unique_ptr<OutputFile> OpenOutput(const std::string& path, bool json);

// Writes the array to the file, if any. Then prints a summary: JSON if requested, or a line if there is no file.
void Deliver(const std::string& name, const Array& array, OutputFile* file, bool json);

// Replaces the last dimension: [..., cols] becomes [..., vocabulary].
std::vector<int64_t> WithLastDim(std::vector<int64_t> dims, uint64_t last);

// Reads the hidden states for `table`. Throws std::runtime_error unless they are float32 [..., cols].
Array ReadHidden(const std::string& path, const tied_table_info& table);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_SUMMARY_H_
