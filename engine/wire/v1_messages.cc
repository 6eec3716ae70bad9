#include "wire/v1_messages.h"

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "base/bytes.h"
#include "wire/message_decoding.h"
#include "wire/tensor_messages.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;
using protozero::tag_and_type;

std::uint64_t TagOf(std::uint32_t number) {
  return std::uint64_t{number} << 3 | static_cast<std::uint64_t>(kBytes);
}

// A field of bytes up to the bytes.
void AppendFieldHead(std::string& target, std::uint32_t number, std::uint64_t size) {
  AppendVarint(target, TagOf(number));
  AppendVarint(target, size);
}

std::uint64_t FieldBytes(std::uint32_t number, std::uint64_t size) {
  return VarintBytes(TagOf(number)) + VarintBytes(size) + size;
}

std::uint32_t NumberOf(V1Field field) { return static_cast<std::uint32_t>(field); }

// ---- SavedSliceMeta: 1 name, 2 shape, 3 type, 4 slice ----

void EncodeTensor(pbf_writer& parent, const V1TensorMeta& tensor) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (!tensor.name.empty()) writer.add_string(1, tensor.name);
  EncodeShape(writer, 2, tensor.shape, tensor.unknown_rank);
  if (tensor.dtype_number != 0) writer.add_int64(3, tensor.dtype_number);
  for (const TensorSlice& slice : tensor.slices) EncodeSlice(writer, 4, slice);
  parent.add_message(1, bytes);
}

V1TensorMeta DecodeTensor(pbf_reader reader, std::uint64_t& slices_left) {
  V1TensorMeta tensor;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): tensor.name = reader.get_string(); break;
      case tag_and_type(2, kBytes):
        DecodeShape(reader.get_message(), tensor.shape, tensor.unknown_rank);
        break;
      case tag_and_type(3, kVarint): tensor.dtype_number = reader.get_enum(); break;
      case tag_and_type(4, kBytes):
        if (slices_left-- == 0) throw NotSuchMessage{};
        DecodeSlice(reader.get_message(), tensor.slices.emplace_back());
        break;
      default: reader.skip();
    }
  }
  return tensor;
}

// ---- SavedTensorSliceMeta: 1 tensor, 2 versions ----

// Calls `take` for each field `number` of each meta; a message has one at least.
template <typename Take>
void ForEachInMeta(pbf_reader reader, std::uint32_t number, Take take) {
  bool has_meta = false;
  while (reader.next()) {
    if (reader.tag_and_type() != tag_and_type(1, kBytes)) {
      reader.skip();
      continue;
    }
    has_meta = true;
    pbf_reader meta = reader.get_message();
    while (meta.next(number, kBytes)) take(meta.get_message());
  }
  if (!has_meta) throw NotSuchMessage{};
}

// ---- TensorProto, as far as one field of it goes ----

pbf_wire_type ValueType(V1Field field) {
  switch (field) {
    case V1Field::kFloat:
    case V1Field::kSComplex: return pbf_wire_type::fixed32;
    case V1Field::kDouble:
    case V1Field::kDComplex: return pbf_wire_type::fixed64;
    case V1Field::kString: return kBytes;
    default: return kVarint;
  }
}

void VisitTensor(pbf_reader reader, V1Field field, const V1ValueVisitor& visit) {
  while (reader.next()) {
    const bool is_wanted = reader.tag() == NumberOf(field);
    const char* const begin = reader.data().data();
    if (is_wanted && reader.wire_type() == kBytes) {
      const protozero::data_view view = reader.get_view();
      visit(AsBytes({view.data(), view.size()}));
    } else if (is_wanted && reader.wire_type() == ValueType(field)) {
      reader.skip();
      visit(AsBytes({begin, static_cast<std::size_t>(reader.data().data() - begin)}));
    } else {
      reader.skip();
    }
  }
}

// ---- SavedSlice: 1 name, 2 slice, 3 data ----

void VisitSlice(pbf_reader reader, V1DataHead& head, V1Field field, const V1ValueVisitor& visit) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): head.name = reader.get_string(); break;
      case tag_and_type(2, kBytes): DecodeSlice(reader.get_message(), head.slice); break;
      case tag_and_type(3, kBytes): VisitTensor(reader.get_message(), field, visit); break;
      default: reader.skip();
    }
  }
}

}  // namespace

// ---- SavedTensorSlices: 1 meta, 2 data ----

std::string EncodeV1Meta(const V1Meta& meta) {
  std::string meta_bytes;
  pbf_writer writer(meta_bytes);
  for (const V1TensorMeta& tensor : meta.tensors) EncodeTensor(writer, tensor);
  EncodeVersion(writer, 2, meta.version);
  std::string bytes;
  pbf_writer(bytes).add_message(1, meta_bytes);
  return bytes;
}

std::optional<FormatVersion> DecodeV1Version(std::span<const std::byte> bytes) {
  return TryDecode<FormatVersion>(bytes, [](pbf_reader reader) {
    FormatVersion version;
    version.producer = 0;  // proto3: what is not there is zero
    ForEachInMeta(reader, 2, [&](pbf_reader field) { DecodeVersion(field, version); });
    return version;
  });
}

bool VisitV1Tensors(std::span<const std::byte> bytes, std::uint64_t slices_max,
                    const V1TensorVisitor& visit) {
  std::uint64_t slices_left = slices_max;
  const auto decode = [&](pbf_reader reader) {
    ForEachInMeta(reader, 1, [&](pbf_reader field) {
      V1TensorMeta tensor = DecodeTensor(field, slices_left);
      visit(tensor);
    });
    return true;
  };
  return TryDecode<bool>(bytes, decode).value_or(false);
}

std::string EncodeV1DataHead(const V1DataHead& head, V1Field field, std::uint64_t field_bytes) {
  std::string tensor;  // TensorProto up to its values
  if (field != V1Field::kString && field_bytes > 0) {
    AppendFieldHead(tensor, NumberOf(field), field_bytes);
  }
  const std::uint64_t tensor_bytes = tensor.size() + field_bytes;
  std::string slice;
  pbf_writer writer(slice);
  writer.add_string(1, head.name);
  EncodeSlice(writer, 2, head.slice);
  std::string bytes;
  AppendFieldHead(bytes, 2, slice.size() + FieldBytes(3, tensor_bytes));
  bytes += slice;
  AppendFieldHead(bytes, 3, tensor_bytes);
  return bytes + tensor;
}

std::uint64_t V1StringBytes(std::uint64_t string_bytes) noexcept {
  return FieldBytes(NumberOf(V1Field::kString), string_bytes);
}

void AppendV1String(std::string& target, std::string_view element) {
  AppendFieldHead(target, NumberOf(V1Field::kString), element.size());
  target += element;
}

std::optional<V1DataHead> DecodeV1Data(std::span<const std::byte> bytes, V1Field field,
                                       const V1ValueVisitor& visit) {
  return TryDecode<V1DataHead>(bytes, [&](pbf_reader reader) {
    V1DataHead head;
    bool has_data = false;
    while (reader.next()) {
      if (reader.tag_and_type() == tag_and_type(2, kBytes)) {
        VisitSlice(reader.get_message(), head, field, visit);
        has_data = true;
      } else {
        reader.skip();
      }
    }
    if (!has_data) throw NotSuchMessage{};
    return head;
  });
}

}  // namespace waypost
