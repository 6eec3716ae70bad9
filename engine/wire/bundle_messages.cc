#include "wire/bundle_messages.h"

#include <limits>
#include <protozero/pbf_message.hpp>
#include <protozero/pbf_writer.hpp>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

constexpr pbf_wire_type kVarint = pbf_wire_type::varint;
constexpr pbf_wire_type kFixed32 = pbf_wire_type::fixed32;
constexpr pbf_wire_type kFixed64 = pbf_wire_type::fixed64;
constexpr pbf_wire_type kBytes = pbf_wire_type::length_delimited;

// TensorFlow's limit on dimensions.  It also keeps what an entry takes in memory a small multiple
// of its bytes: a dimension takes 2 bytes here and 16 there.
constexpr std::size_t kRankMax = 254;

// Thrown within this file for values that no writer of these messages writes.
struct NotSuchMessage {};

pbf_reader ReaderOf(std::span<const std::byte> bytes) {
  const std::string_view text = AsText(bytes);
  return pbf_reader{text.data(), text.size()};
}

// Runs `decode` over a reader of `bytes`; whatever it throws means that this is no such message.
template <typename Message, typename Decode>
std::optional<Message> TryDecode(std::span<const std::byte> bytes, Decode decode) {
  // pbf_reader counts some lengths in 32 bits.
  if (bytes.size() > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  try {
    return decode(ReaderOf(bytes));
  } catch (const protozero::exception&) {
    return std::nullopt;
  } catch (const NotSuchMessage&) {
    return std::nullopt;
  }
}

// ---- VersionDef: 1 producer, 2 min_consumer, 3 bad_consumers ----

void EncodeVersion(pbf_writer& parent, const BundleHeader& header) {
  std::string bytes;
  pbf_writer version(bytes);
  if (header.producer != 0) version.add_int32(1, header.producer);
  if (header.min_consumer != 0) version.add_int32(2, header.min_consumer);
  if (!header.bad_consumers.empty()) {
    version.add_packed_int32(3, header.bad_consumers.begin(), header.bad_consumers.end());
  }
  parent.add_message(3, bytes);
}

void DecodeVersion(pbf_reader reader, BundleHeader& header) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): header.producer = reader.get_int32(); break;
      case tag_and_type(2, kVarint): header.min_consumer = reader.get_int32(); break;
      case tag_and_type(3, kVarint): header.bad_consumers.push_back(reader.get_int32()); break;
      case tag_and_type(3, kBytes):
        for (const std::int32_t version : reader.get_packed_int32()) {
          header.bad_consumers.push_back(version);
        }
        break;
      default: reader.skip();
    }
  }
}

// ---- TensorShapeProto: 2 dim { 1 size }, 3 unknown_rank ----

void EncodeShape(pbf_writer& parent, const BundleEntry& entry) {
  std::string bytes;
  pbf_writer shape(bytes);
  for (const std::int64_t size : entry.shape) {
    std::string dim_bytes;
    if (size != 0) pbf_writer(dim_bytes).add_int64(1, size);
    shape.add_message(2, dim_bytes);
  }
  if (entry.unknown_rank) shape.add_bool(3, true);
  parent.add_message(2, bytes);
}

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

void DecodeShape(pbf_reader reader, BundleEntry& entry) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(2, kBytes):
        if (entry.shape.size() == kRankMax) throw NotSuchMessage{};
        entry.shape.push_back(DecodeDim(reader.get_message()));
        break;
      // Not get_bool(): it looks at a byte before it knows that there is one.
      case tag_and_type(3, kVarint): entry.unknown_rank = reader.get_uint64() != 0; break;
      default: reader.skip();
    }
  }
}

// ---- TensorSliceProto: 1 extent { 1 start, 2 length (absent: the whole dimension) } ----

void EncodeSlice(pbf_writer& parent, const TensorSlice& slice) {
  std::string bytes;
  pbf_writer writer(bytes);
  for (const auto& [start, length] : slice.extents) {
    std::string extent_bytes;
    pbf_writer extent(extent_bytes);
    if (start != 0) extent.add_int64(1, start);
    if (length != -1) extent.add_int64(2, length);
    writer.add_message(1, extent_bytes);
  }
  parent.add_message(7, bytes);
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

TensorSlice DecodeSlice(pbf_reader reader) {
  TensorSlice slice;
  while (reader.next()) {
    if (reader.tag_and_type() == tag_and_type(1, kBytes)) {
      if (slice.extents.size() == kRankMax) throw NotSuchMessage{};
      slice.extents.push_back(DecodeExtent(reader.get_message()));
    } else {
      reader.skip();
    }
  }
  return slice;
}

// ---- The two messages ----

bool DecodeEndianness(std::int32_t number) {
  if (number != 0 && number != 1) throw NotSuchMessage{};
  return number == 1;
}

BundleHeader DecodeHeaderFields(pbf_reader reader) {
  BundleHeader header;
  header.shard_count = 0;  // proto3: what is not there is zero
  header.producer = 0;
  BundleHeader::Origin origin;
  bool has_origin = false;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): header.shard_count = reader.get_int32(); break;
      case tag_and_type(2, kVarint): header.big_endian = DecodeEndianness(reader.get_enum()); break;
      case tag_and_type(3, kBytes): DecodeVersion(reader.get_message(), header); break;
      case tag_and_type(1000, kFixed64):
        origin.save_id = reader.get_fixed64();
        has_origin = true;
        break;
      case tag_and_type(1001, kBytes): origin.writer = reader.get_string(); break;
      case tag_and_type(1002, kVarint): origin.meta_size = reader.get_uint64(); break;
      case tag_and_type(1003, kFixed32): origin.meta_crc32c = reader.get_fixed32(); break;
      default: reader.skip();
    }
  }
  if (has_origin) header.origin = std::move(origin);
  return header;
}

BundleEntry DecodeEntryFields(pbf_reader reader) {
  BundleEntry entry;
  entry.crc32c = UnmaskCrc32c(0);  // a masked CRC that happens to be zero is left out by proto3
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): entry.dtype_number = reader.get_enum(); break;
      case tag_and_type(2, kBytes): DecodeShape(reader.get_message(), entry); break;
      case tag_and_type(3, kVarint): entry.shard = reader.get_int32(); break;
      case tag_and_type(4, kVarint): entry.offset = reader.get_int64(); break;
      case tag_and_type(5, kVarint): entry.size_bytes = reader.get_int64(); break;
      case tag_and_type(6, kFixed32):
        entry.crc32c = UnmaskCrc32c(reader.get_fixed32());
        entry.has_crc32c = true;
        break;
      case tag_and_type(7, kBytes):
        entry.slices.push_back(DecodeSlice(reader.get_message()));
        break;
      case tag_and_type(1000, kFixed32): entry.chunk_crc32c.push_back(reader.get_fixed32()); break;
      case tag_and_type(1000, kBytes): {
        const auto packed = reader.get_packed_fixed32();
        entry.chunk_crc32c.insert(entry.chunk_crc32c.end(), packed.begin(), packed.end());
        break;
      }
      default: reader.skip();
    }
  }
  return entry;
}

}  // namespace

std::string EncodeBundleHeader(const BundleHeader& header) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (header.shard_count != 0) writer.add_int32(1, header.shard_count);
  if (header.big_endian) writer.add_enum(2, 1);
  EncodeVersion(writer, header);
  if (header.origin) {
    writer.add_fixed64(1000, header.origin->save_id);
    if (!header.origin->writer.empty()) writer.add_string(1001, header.origin->writer);
    if (header.origin->meta_size != 0) {
      writer.add_uint64(1002, header.origin->meta_size);
      writer.add_fixed32(1003, header.origin->meta_crc32c);
    }
  }
  return bytes;
}

std::optional<BundleHeader> DecodeBundleHeader(std::span<const std::byte> bytes) {
  return TryDecode<BundleHeader>(bytes, DecodeHeaderFields);
}

std::string EncodeBundleEntry(const BundleEntry& entry) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (entry.dtype_number != 0) writer.add_int64(1, entry.dtype_number);
  EncodeShape(writer, entry);
  if (entry.shard != 0) writer.add_int32(3, entry.shard);
  if (entry.offset != 0) writer.add_int64(4, entry.offset);
  if (entry.size_bytes != 0) writer.add_int64(5, entry.size_bytes);
  const std::uint32_t masked_crc = MaskCrc32c(entry.crc32c);
  if (entry.has_crc32c && masked_crc != 0) writer.add_fixed32(6, masked_crc);
  for (const TensorSlice& slice : entry.slices) EncodeSlice(writer, slice);
  if (!entry.chunk_crc32c.empty()) {
    writer.add_packed_fixed32(1000, entry.chunk_crc32c.begin(), entry.chunk_crc32c.end());
  }
  return bytes;
}

std::optional<BundleEntry> DecodeBundleEntry(std::span<const std::byte> bytes) {
  return TryDecode<BundleEntry>(bytes, DecodeEntryFields);
}

}  // namespace waypost
