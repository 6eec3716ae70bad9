// Names and strings out of files, made safe for one line of a message or a terminal.
#pragma once

#include <string>
#include <string_view>

namespace waypost {

// Printable ASCII and well-formed UTF-8 without control characters as they are; `\n`, `\t`, `\r`
// and `\\` in C's spelling; every other byte as \xNN.
std::string Printable(std::string_view text);

}  // namespace waypost
