// The report of a conversion, as plain data. tied-convert prints it.
#ifndef TIED_CONVERTER_REPORT_H_
#define TIED_CONVERTER_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tied::converter {

struct TableReport {
  std::string name;         // of the model's tensor
  std::string type;         // number format in the file, "float32"; "int8-blocks"
  uint64_t rows = 0;        // written
  uint64_t vocabulary = 0;  // token ids of the model; more than `rows` if only some were kept
  uint64_t cols = 0;
  bool screen = false;
  bool calibrated = false;  // the screen has columns of recorded hidden states
  bool lossless = true;     // every value of the model is kept exactly
  std::string reason;       // why it has this number format; empty if the caller asked for it
};

struct SelectorReport {
  std::string input;
  bool value = false;
};

struct EntryPointReport {
  std::string name;
  std::vector<SelectorReport> selectors;
};

// Errors of the logits of some hidden states.
struct LogitErrors {
  std::string hidden;  // "random" or "recorded"
  size_t tokens = 0;
  double largest = 0;
  size_t same_best = 0;  // tokens whose best row is the same
  size_t k = 0;          // min(10, rows)
  double overlap = 0;    // share of the k best rows that are still among the k best
};

// The error of rounding the table.
struct MeasuredError {
  double largest_weight = 0;
  double rms_weight = 0;
  std::vector<LogitErrors> logits;
};

// A use that reads a different table than in the model; both are the same matrix up to rounding (--tie).
struct TiedUse {
  std::string use;                  // "embedding" or "head"
  std::string reads;                // the table that it reads now
  std::string original;             // the table that it reads in the model
  double rounding = 0;              // expected root mean square of the rounding error in the weights that it reads now
  double rounding_of_original = 0;  // and in the weights that it reads in the model
  double largest_difference = 0;    // between the two tables
  double rms_difference = 0;
};

// One output of one entry point, compared with a reference evaluation of the model.
struct OutputCheck {
  enum class Fault { kNone, kDifferentShape, kLogitOfDroppedId, kOutsideOfBound };

  std::string entry_point;
  std::string output;
  int64_t values = 0;
  std::optional<int64_t> other_ids;      // for an output of token ids: number of ids that differ from the reference
  double largest_difference = 0;         // for token ids: of their values
  std::optional<double> share_of_bound;  // largest share of the error bound; nullopt if the table was rounded
  Fault fault = Fault::kNone;
};

// Every row of the file, compared with the model's.
struct RowsCheck {
  bool lossless = true;
  double worst_row = 0;               // largest share of the allowed rounding
  std::optional<double> worst_logit;  // largest share of the error bound, if the head reads the same table
  bool passed() const { return worst_row <= 1 && worst_logit.value_or(0) <= 1; }
};

struct DroppedIdsCheck {
  uint64_t ids = 0;
  bool refused = false;  // the embedding refuses them, as it must
};

struct CheckReport {
  std::vector<OutputCheck> outputs;
  std::optional<DroppedIdsCheck> dropped_ids;
  std::optional<RowsCheck> rows;
  std::string not_checked;  // why the check ended early; empty if it was complete

  bool passed() const {
    for (const OutputCheck& output : outputs) {
      if (output.fault != OutputCheck::Fault::kNone) return false;
    }
    return not_checked.empty() && (!dropped_ids || dropped_ids->refused) && (!rows || rows->passed());
  }
};

struct ConvertReport {
  std::string output;    // the .tied file
  bool written = false;  // false if the check failed or could not run; an existing file is then unchanged
  std::vector<TableReport> tables;
  std::vector<TiedUse> tied_uses;
  std::vector<EntryPointReport> entry_points;
  uint64_t bytes = 0;                  // of the file
  double seconds = 0;                  // without the check
  std::optional<MeasuredError> error;  // of the first table, if it was rounded
  std::optional<CheckReport> check;    // if requested
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_REPORT_H_
