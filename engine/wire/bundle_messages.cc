#include "wire/bundle_messages.h"

#include "base/crc32c.h"
#include "wire/message_decoding.h"
#include "wire/tensor_messages.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;
using protozero::tag_and_type;

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
      case tag_and_type(1004, kBytes): origin.directory_mark = reader.get_string(); break;
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
      case tag_and_type(2, kBytes):
        DecodeShape(reader.get_message(), entry.shape, entry.unknown_rank);
        break;
      case tag_and_type(3, kVarint): entry.shard = reader.get_int32(); break;
      case tag_and_type(4, kVarint): entry.offset = reader.get_int64(); break;
      case tag_and_type(5, kVarint): entry.size_bytes = reader.get_int64(); break;
      case tag_and_type(6, kFixed32):
        entry.crc32c = UnmaskCrc32c(reader.get_fixed32());
        entry.has_crc32c = true;
        break;
      case tag_and_type(7, kBytes):
        DecodeSlice(reader.get_message(), entry.slices.emplace_back());
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
  EncodeVersion(writer, 3, header);
  if (header.origin) {
    writer.add_fixed64(1000, header.origin->save_id);
    if (!header.origin->writer.empty()) writer.add_string(1001, header.origin->writer);
    if (header.origin->meta_size != 0) {
      writer.add_uint64(1002, header.origin->meta_size);
      writer.add_fixed32(1003, header.origin->meta_crc32c);
    }
    if (const std::string& mark = header.origin->directory_mark; !mark.empty()) {
      writer.add_string(1004, mark);
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
  EncodeShape(writer, 2, entry.shape, entry.unknown_rank);
  if (entry.shard != 0) writer.add_int32(3, entry.shard);
  if (entry.offset != 0) writer.add_int64(4, entry.offset);
  if (entry.size_bytes != 0) writer.add_int64(5, entry.size_bytes);
  const std::uint32_t masked_crc = MaskCrc32c(entry.crc32c);
  if (entry.has_crc32c && masked_crc != 0) writer.add_fixed32(6, masked_crc);
  for (const TensorSlice& slice : entry.slices) EncodeSlice(writer, 7, slice);
  if (!entry.chunk_crc32c.empty()) {
    writer.add_packed_fixed32(1000, entry.chunk_crc32c.begin(), entry.chunk_crc32c.end());
  }
  return bytes;
}

std::optional<BundleEntry> DecodeBundleEntry(std::span<const std::byte> bytes) {
  return TryDecode<BundleEntry>(bytes, DecodeEntryFields);
}

}  // namespace waypost
