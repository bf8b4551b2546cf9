// Text from files that anybody may have made, for a terminal.
#ifndef TIED_BASE_PRINTABLE_H_
#define TIED_BASE_PRINTABLE_H_

#include <string>

namespace tied {

// `text` with control characters, and bytes that are not UTF-8, replaced by '?': names must not command a terminal.
std::string Printable(std::string text);

}  // namespace tied

#endif  // TIED_BASE_PRINTABLE_H_
