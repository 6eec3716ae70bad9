#include "wire/tensor_messages.h"

#include "wire/message_decoding.h"
#include "wire/rank.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;
using protozero::tag_and_type;

// TensorFlow's limit on dimensions.  It also keeps what a message takes in memory a small multiple
// of its bytes: a dimension takes 2 bytes here and 16 there.

std::int64_t DecodeDim(pbf_reader reader) {
  std::int64_t size = 0;
  while (reader.next()) {
    if (reader.tag_and_type() == tag_and_type(1, kVarint)) {
      size = reader.get_int64();
    } else {
      reader.skip();
    }
  }
  return size;
}

TensorSlice::Extent DecodeExtent(pbf_reader reader) {
  TensorSlice::Extent extent;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): extent.start = reader.get_int64(); break;
      case tag_and_type(2, kVarint): extent.length = reader.get_int64(); break;
      default: reader.skip();
    }
  }
  return extent;
}

}  // namespace

void EncodeShape(pbf_writer& parent, std::uint32_t number, const Shape& shape, bool unknown_rank) {
  std::string bytes;
  pbf_writer writer(bytes);
  for (const std::int64_t size : shape) {
    std::string dim_bytes;
    if (size != 0) pbf_writer(dim_bytes).add_int64(1, size);
    writer.add_message(2, dim_bytes);
  }
  if (unknown_rank) writer.add_bool(3, true);
  parent.add_message(number, bytes);
}

void DecodeShape(pbf_reader reader, Shape& shape, bool& unknown_rank) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(2, kBytes):
        if (shape.size() == kRankMax) throw NotSuchMessage{};
        shape.push_back(DecodeDim(reader.get_message()));
        break;
      // Not get_bool(): it looks at a byte before it knows that there is one.
      case tag_and_type(3, kVarint): unknown_rank = reader.get_uint64() != 0; break;
      default: reader.skip();
    }
  }
}

void EncodeSlice(pbf_writer& parent, std::uint32_t number, const TensorSlice& slice) {
  std::string bytes;
  pbf_writer writer(bytes);
  for (const auto& [start, length] : slice.extents) {
    std::string extent_bytes;
    pbf_writer extent(extent_bytes);
    if (start != 0) extent.add_int64(1, start);
    if (length != -1) extent.add_int64(2, length);
    writer.add_message(1, extent_bytes);
  }
  parent.add_message(number, bytes);
}

void DecodeSlice(pbf_reader reader, TensorSlice& slice) {
  while (reader.next()) {
    if (reader.tag_and_type() == tag_and_type(1, kBytes)) {
      if (slice.extents.size() == kRankMax) throw NotSuchMessage{};
      slice.extents.push_back(DecodeExtent(reader.get_message()));
    } else {
      reader.skip();
    }
  }
}

void EncodeVersion(pbf_writer& parent, std::uint32_t number, const FormatVersion& version) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (version.producer != 0) writer.add_int32(1, version.producer);
  if (version.min_consumer != 0) writer.add_int32(2, version.min_consumer);
  if (!version.bad_consumers.empty()) {
    writer.add_packed_int32(3, version.bad_consumers.begin(), version.bad_consumers.end());
  }
  parent.add_message(number, bytes);
}

void DecodeVersion(pbf_reader reader, FormatVersion& version) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): version.producer = reader.get_int32(); break;
      case tag_and_type(2, kVarint): version.min_consumer = reader.get_int32(); break;
      case tag_and_type(3, kVarint): version.bad_consumers.push_back(reader.get_int32()); break;
      case tag_and_type(3, kBytes):
        for (const std::int32_t consumer : reader.get_packed_int32()) {
          version.bad_consumers.push_back(consumer);
        }
        break;
      default: reader.skip();
    }
  }
}

}  // namespace waypost
