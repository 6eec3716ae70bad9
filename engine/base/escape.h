// Names and strings out of files, made safe for one line of a message or a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace waypost {

// Printable ASCII and well-formed UTF-8 without control characters as they are; `\n`, `\t`, `\r`
// and `\\` in C's spelling; every other byte as \xNN.
std::string Printable(std::string_view text);

// Names for one line, each made printable: "a, b, c and 4 more", no more than ten; "none".
std::string Listed(const std::vector<std::string>& names);

}  // namespace waypost
