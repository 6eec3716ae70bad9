// Messages that other messages are made of, over protozero: TensorShapeProto, TensorSliceProto,
// VersionDef.
//
// Field numbers: docs/format.md, "Messages" (TensorFlow's core/framework/tensor_shape.proto,
// tensor_slice.proto and versions.proto).  Encoding writes fields in number order and leaves
// defaults out, as TensorFlow does.
#pragma once

#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "waypost/tensor.h"
#include "wire/format_version.h"

namespace waypost {

// The Encode functions add the message to `parent` as field `number`.  The Decode functions add
// what is there to their target, as protobuf does where a message comes in several pieces; they
// throw NotSuchMessage or what protozero throws.

// TensorShapeProto: 2 dim { 1 size }, 3 unknown_rank.
void EncodeShape(protozero::pbf_writer& parent, std::uint32_t number, const Shape& shape,
                 bool unknown_rank = false);
void DecodeShape(protozero::pbf_reader reader, Shape& shape, bool& unknown_rank);

// TensorSliceProto: 1 extent { 1 start, 2 length (absent: the whole dimension) }.
void EncodeSlice(protozero::pbf_writer& parent, std::uint32_t number, const TensorSlice& slice);
void DecodeSlice(protozero::pbf_reader reader, TensorSlice& slice);

// VersionDef: 1 producer, 2 min_consumer, 3 bad_consumers.
void EncodeVersion(protozero::pbf_writer& parent, std::uint32_t number,
                   const FormatVersion& version);
void DecodeVersion(protozero::pbf_reader reader, FormatVersion& version);

}  // namespace waypost
