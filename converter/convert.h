// The converter as a library: everything that tied-convert does except parsing arguments and printing.
//
// Errors are ConvertError (base/error.h) and std::bad_alloc. After an error, no output is left, and an existing file is
// unchanged. Nothing is printed. Calls for different outputs may run at the same time.
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

// Number format of the tables. kAuto keeps the model's format, but stores float32 as float16 or bfloat16 if that keeps
// every value exactly.
enum class NumberFormat { kAuto, kFloat32, kFloat16, kBFloat16, kInt8, kInt8Blocks, kInt4 };

// Called in the caller's thread with a step ("comparing", "reading", "writing"), the bytes done and their total. May
// throw, which ends the conversion.
using StepProgress = std::function<void(const char* step, uint64_t done, uint64_t total)>;

struct TableOptions {
  NumberFormat format = NumberFormat::kAuto;
  bool screen = false;        // add a screen, with which a top-k reads a part of the table
  std::string calibrate;      // path of recorded hidden states for which the screen is made to be tight; may be empty
  std::string hidden;         // path of recorded hidden states, for measuring the error of a lossy format, and for the
                              // scales of int4 and int8 in blocks; may be empty
  std::string keep_ids;       // path of a list of token ids; only their rows are written. Empty: all
  std::string drop_ids;       // path of a list of token ids; only other rows are written. Not together with keep_ids
  Tie tie = Tie::kNone;       // keep one table where embedding and lm_head are one matrix, rounded in two ways
  bool allow_untied = false;  // keep both tables where embedding and lm_head differ
  bool check = false;         // compare the file with a reference evaluation of the model first
  StepProgress progress;      // may be empty
};

struct ConvertOptions {
  std::string model;   // an ONNX file; a safetensors file, the index of several, or the folder of either
  std::string output;  // the .tied file; an existing file is replaced
  TableOptions tables;
  TableChoice choice = {};  // for safetensors
};

// Converts a model. If the optional check fails or cannot run, the report says so and nothing is written.
ConvertReport Convert(const ConvertOptions& options);

struct SplitOptions {
  std::vector<std::string> exports;  // the ONNX files of one model, or the folder of them
  std::string folder;                // for model.tied, and each export without the table under its file name
  TableOptions tables;
  std::string ids;                // the input of token ids; empty: input_ids, or found by the structure
  std::string logits;             // the output of logits; empty: logits, or found by the structure
  std::string hidden = "hidden";  // name of the output that replaces the logits
};

// Splits whole exports. All files are on disk before the first becomes visible; model.tied is the last.
ConvertReport Split(const SplitOptions& options);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CONVERT_H_
