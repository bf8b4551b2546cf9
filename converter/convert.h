// The converter as a library: everything that tied-convert does but its arguments, its words and its exit codes.
//
// Errors are ConvertErrors (base/error.h), and std::bad_alloc; then nothing is left of the output, and a file that was
// there before is as it was. Nothing is printed. Calls for different outputs may run at the same time.
#ifndef TIED_CONVERTER_CONVERT_H_
#define TIED_CONVERTER_CONVERT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "converter/output/tie.h"
#include "converter/report.h"
#include "converter/safetensors/table_choice.h"

namespace tied::converter {

// Number format of the tables. kAuto keeps quantised and narrow tables as they are, and float32 unless every value
// survives float16 or bfloat16 exactly.
enum class NumberFormat { kAuto, kFloat32, kFloat16, kBFloat16, kInt8, kInt4 };

// Called in the caller's thread with a step ("comparing", "reading", "writing") and the bytes that are done, of a
// total. May throw, which ends the conversion.
using StepProgress = std::function<void(const char* step, uint64_t done, uint64_t total)>;

struct TableOptions {
  NumberFormat format = NumberFormat::kAuto;
  bool screen = false;   // add an int8 screen to float tables
  std::string hidden;    // path of recorded hidden states to measure the error of a lossy format with; may be empty
  std::string keep_ids;  // path of a list of token ids: only their rows are written; empty: all
  std::string drop_ids;  // the opposite; not both
  Tie tie = Tie::kNone;  // keep one table where embedding and lm_head are one matrix, rounded in two ways
  bool allow_untied = false;  // keep both tables where embedding and lm_head differ
  bool check = false;         // compare the file with a reference evaluation of the model first
  StepProgress progress;      // may be empty
};

struct ConvertOptions {
  std::string model;   // an ONNX file; a safetensors file, the index of several, or the folder of either
  std::string output;  // the .tied file; one that is there already is replaced
  TableOptions tables;
  TableChoice choice = {};  // of safetensors
};

// Converts a model. Where the check, if asked for, fails or cannot run, the report says so and nothing is written.
ConvertReport Convert(const ConvertOptions& options);

struct SplitOptions {
  std::vector<std::string> exports;  // the ONNX files of one model, or the folder of them
  std::string folder;                // for model.tied, and each export without the table under its own name
  TableOptions tables;
  std::string ids;                // the exports' input of token ids; empty: input_ids, or what their structure shows
  std::string logits;             // their output of logits; empty: logits, or what their structure shows
  std::string hidden = "hidden";  // what the output is called that takes its place
};

// Takes whole exports apart. All files are on the disk before the first becomes visible; model.tied is the last.
ConvertReport Split(const SplitOptions& options);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CONVERT_H_
