// Messages of libprotobuf from and to bytes, in both of protobuf's forms, as TensorFlow writes and
// reads them.
//
// Sources: protobuf's encoding and text format; how Python prints numbers (text_format.py).
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace waypost {

// protobuf logs and gives up above 2 GiB; asked before, it is an error like any other:
// kInvalidArgument.
void CheckMessageSize(std::size_t size_bytes);

// Equal messages give equal bytes: map entries are sorted by key, and unknown fields come last.
std::string SerializeMessage(const google::protobuf::Message& message);

// As Python prints it: a float is the shortest decimal that reads back as the same one, `string`
// fields keep their UTF-8, `bytes` are octal above 0x7f.  Unknown fields, which have no name, are
// left out.
std::string PrintMessage(const google::protobuf::Message& message);

// Reads binary, and text when it is not that.  Throws kInvalidArgument "LINE:COLUMN: reason" for
// text that is none of this message's, kDataLoss for other bytes, kInvalidArgument beyond 2 GiB.
void ParseMessage(std::string_view bytes, google::protobuf::Message& message);

// Binary only; false when it is none.
bool ParseBinary(std::string_view bytes, google::protobuf::Message& message);

}  // namespace waypost
