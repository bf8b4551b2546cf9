// Makes text from untrusted files safe to print on a terminal.
#ifndef TIED_BASE_PRINTABLE_H_
#define TIED_BASE_PRINTABLE_H_

#include <string>

namespace tied {

// Replaces control characters, and bytes that are not UTF-8, by '?'.
std::string Printable(std::string text);

}  // namespace tied

#endif  // TIED_BASE_PRINTABLE_H_
