// The escapes of protobuf's text format, taken out of a string.
#pragma once

#include <string>
#include <string_view>

namespace waypost {

// Takes the escape that `rest` begins with (a backslash first) and appends what it stands for.
// False, and `rest` as it was, when it is none: \a \b \f \n \r \t \v \? \\ \' \" \OOO \xHH \uHHHH
// \UHHHHHHHH, where a pair of \u surrogates is one character and a single one is refused.
bool TakeEscape(std::string& target, std::string_view& rest);

}  // namespace waypost
