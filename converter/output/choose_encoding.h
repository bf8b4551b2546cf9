// Chooses the encoding of a table.
#ifndef TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_
#define TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_

#include <optional>
#include <string>

#include "converter/output/encoding.h"

namespace tied::converter {

struct EncodingOptions {
  bool screen = false;
  std::string calibrate;   // recorded hidden states for the screen; may be empty
  bool in_blocks = false;  // one scale per block, also for Int8
  std::string recorded;    // recorded hidden states for the scales of tables in blocks; may be empty
};

struct ChosenEncoding {
  TableEncoding encoding;
  std::string reason;  // empty if the caller asked for the type
};

// type: nullopt for the narrowest lossless type; quantised tables keep theirs. Throws ConvertError for a screen of a
// table in blocks, and for quantised tables that the file format does not support.
ChosenEncoding ChooseEncoding(const TableSource& table, std::optional<format::DataType> type,
                              const EncodingOptions& options, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_
