// Which encoding a table gets.
#ifndef TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_
#define TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_

#include <optional>
#include <string>

#include "converter/output/encoding.h"

namespace tied::converter {

struct ChosenEncoding {
  TableEncoding encoding;
  std::string reason;  // empty if the caller asked for the type
};

// type: none for the narrowest that loses nothing, which quantised tables have already. Throws ConvertError for a
// screen of integers, and for quantised tables that have no form in the file.
ChosenEncoding ChooseEncoding(const TableSource& table, std::optional<format::DataType> type, bool screen,
                              const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_CHOOSE_ENCODING_H_
