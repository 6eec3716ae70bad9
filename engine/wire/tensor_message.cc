#include "wire/tensor_message.h"

#include <protozero/pbf_writer.hpp>

#include "base/bytes.h"
#include "wire/message_decoding.h"
#include "wire/tensor_messages.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;
using protozero::tag_and_type;

// An empty string takes two bytes in the message and many more in memory.
constexpr std::size_t kStringsMax = std::size_t{1} << 20;

// An integer as the element that the tensor holds: its low bytes.
void AppendInteger(TensorData& tensor, std::uint64_t value) {
  std::string bytes;
  AppendFixed(bytes, value);
  tensor.content += bytes.substr(0, ElementBytes(tensor.dtype));
}

// Of int_val (7), int64_val (10), bool_val (11), half_val (13), uint32_val (16), uint64_val (17):
// all are varints, packed by most writers.
void AppendIntegers(pbf_reader& reader, TensorData& tensor) {
  if (reader.wire_type() == kVarint) {
    AppendInteger(tensor, reader.get_uint64());
    return;
  }
  for (const std::uint64_t value : reader.get_packed_uint64()) AppendInteger(tensor, value);
}

bool IsIntegerField(pbf_reader& reader) noexcept {
  const std::uint32_t field = reader.tag();
  const bool has_integers =
      field == 7 || field == 10 || field == 11 || field == 13 || field == 16 || field == 17;
  return has_integers && (reader.wire_type() == kVarint || reader.wire_type() == kBytes);
}

void DecodeField(pbf_reader& reader, TensorData& tensor) {
  switch (reader.tag_and_type()) {
    case tag_and_type(1, kVarint):
      tensor.dtype = DTypeFromNumber(reader.get_enum()).value_or(DType::kInvalid);
      break;
    case tag_and_type(2, kBytes): {
      bool unknown_rank = false;  // of a tensor with values it says nothing
      DecodeShape(reader.get_message(), tensor.shape, unknown_rank);
      break;
    }
    case tag_and_type(4, kBytes): tensor.content = TextOf(reader); break;
    case tag_and_type(5, kFixed32): AppendFixed(tensor.content, reader.get_float()); break;
    case tag_and_type(5, kBytes):
    case tag_and_type(6, kBytes): tensor.content += TextOf(reader); break;
    case tag_and_type(6, kFixed64): AppendFixed(tensor.content, reader.get_double()); break;
    case tag_and_type(8, kBytes):
      if (tensor.strings.size() == kStringsMax) throw NotSuchMessage{};
      tensor.strings.emplace_back(TextOf(reader));
      break;
    default:
      if (IsIntegerField(reader)) {
        AppendIntegers(reader, tensor);
      } else {
        reader.skip();
      }
  }
}

}  // namespace

std::string EncodeTensor(const TensorData& tensor) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (tensor.dtype != DType::kInvalid) {
    writer.add_enum(1, static_cast<std::int32_t>(tensor.dtype));
  }
  EncodeShape(writer, 2, tensor.shape);
  if (!tensor.content.empty()) writer.add_bytes(4, tensor.content);
  for (const std::string& text : tensor.strings) writer.add_bytes(8, text);
  return bytes;
}

TensorData DecodeTensorData(pbf_reader reader) {
  TensorData tensor;
  while (reader.next()) DecodeField(reader, tensor);
  return tensor;
}

}  // namespace waypost
