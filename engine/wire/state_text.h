// The text of the `checkpoint` state file: TensorFlow's CheckpointState message in protobuf's text
// format (docs/format.md, "The state file").
//
// Printing gives byte for byte what TensorFlow writes.  Parsing takes all of the text format:
// comments, single quotes, adjacent strings, [a, b] lists, `,` or `;` after a field, octal, hex and
// Unicode escapes, CRLF, several fields a line; a repeated singular field: the last one wins. Input
// is untrusted: the memory used is at most a small multiple of the text.
#pragma once

#include <string>
#include <string_view>

#include "waypost/checkpoint_state.h"

namespace waypost {

// Fields in number order, one a line.  As in TensorFlow an empty path, an empty list and a zero
// last_preserved_timestamp print nothing.  UTF-8 stays as it is; bytes that are none are written as
// octal escapes, so that the file is always UTF-8 and reads back to the same bytes.
std::string PrintStateText(const CheckpointState& state);

// Throws kDataLoss "PATH: line N: reason" for anything that is no CheckpointState, unknown fields
// included.  A number too large or too small for a double is refused as well.
CheckpointState ParseStateText(std::string_view text, const std::string& path);

}  // namespace waypost
