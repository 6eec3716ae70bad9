// UTF-8 by the sequence: text from a file or a user may be any bytes, and is judged before it is
// printed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace waypost {

// Bytes (1 to 4) of the well-formed sequence that `text` begins with; 0 when it begins with none
// (empty, cut, overlong, a surrogate, beyond U+10FFFF).
std::size_t Utf8SequenceBytes(std::string_view text) noexcept;

// Whether all of it is well-formed.
bool IsUtf8(std::string_view text) noexcept;

// Requires: `code_point` is a Unicode scalar value (at most U+10FFFF, no surrogate).
void AppendUtf8(std::string& target, char32_t code_point);

}  // namespace waypost
