// Prints the report of a conversion.
#ifndef TIED_TOOLS_TIED_CONVERT_PRINT_REPORT_H_
#define TIED_TOOLS_TIED_CONVERT_PRINT_REPORT_H_

#include <iosfwd>

#include "converter/report.h"

namespace tied::converter {

void PrintSummary(const ConvertReport& report, std::ostream& out);
void PrintError(const MeasuredError& error, std::ostream& out);
void PrintCheck(const CheckReport& check, std::ostream& out);

}  // namespace tied::converter

#endif  // TIED_TOOLS_TIED_CONVERT_PRINT_REPORT_H_
