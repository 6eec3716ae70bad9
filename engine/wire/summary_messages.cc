#include "wire/summary_messages.h"

#include <bit>
#include <protozero/pbf_writer.hpp>

#include "base/check.h"
#include "wire/message_decoding.h"
#include "wire/tensor_message.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;
using protozero::tag_and_type;

// More than anybody draws; a value of two bytes takes many times that in memory.
constexpr std::size_t kSummaryValuesMax = std::size_t{1} << 18;

void AddText(pbf_writer& writer, std::uint32_t field, std::string_view text) {
  if (!text.empty()) writer.add_bytes(field, text.data(), text.size());
}

// ---- HistogramProto: 1 min, 2 max, 3 num, 4 sum, 5 sum_squares, 6 bucket_limit, 7 bucket ----

// By the bits: -0.0 is no default.
void AddDouble(pbf_writer& writer, std::uint32_t field, double value) {
  if (std::bit_cast<std::uint64_t>(value) != 0) writer.add_double(field, value);
}

std::string EncodeHistogram(const HistogramData& histogram) {
  std::string bytes;
  pbf_writer writer(bytes);
  AddDouble(writer, 1, histogram.min);
  AddDouble(writer, 2, histogram.max);
  AddDouble(writer, 3, histogram.num);
  AddDouble(writer, 4, histogram.sum);
  AddDouble(writer, 5, histogram.sum_squares);
  writer.add_packed_double(6, histogram.bucket_limit.begin(), histogram.bucket_limit.end());
  writer.add_packed_double(7, histogram.bucket.begin(), histogram.bucket.end());
  return bytes;
}

void AppendDoubles(pbf_reader& reader, std::vector<double>& target) {
  const auto values = reader.get_packed_double();
  target.insert(target.end(), values.begin(), values.end());
}

HistogramData DecodeHistogram(pbf_reader reader) {
  HistogramData histogram;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kFixed64): histogram.min = reader.get_double(); break;
      case tag_and_type(2, kFixed64): histogram.max = reader.get_double(); break;
      case tag_and_type(3, kFixed64): histogram.num = reader.get_double(); break;
      case tag_and_type(4, kFixed64): histogram.sum = reader.get_double(); break;
      case tag_and_type(5, kFixed64): histogram.sum_squares = reader.get_double(); break;
      case tag_and_type(6, kBytes): AppendDoubles(reader, histogram.bucket_limit); break;
      case tag_and_type(6, kFixed64): histogram.bucket_limit.push_back(reader.get_double()); break;
      case tag_and_type(7, kBytes): AppendDoubles(reader, histogram.bucket); break;
      case tag_and_type(7, kFixed64): histogram.bucket.push_back(reader.get_double()); break;
      default: reader.skip();
    }
  }
  return histogram;
}

// ---- Image: 1 height, 2 width, 3 colorspace, 4 encoded_image_string ----

std::string EncodeImage(const ImageData& image) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (image.height != 0) writer.add_int32(1, image.height);
  if (image.width != 0) writer.add_int32(2, image.width);
  if (image.colorspace != 0) writer.add_int32(3, image.colorspace);
  AddText(writer, 4, image.encoded);
  return bytes;
}

ImageData DecodeImage(pbf_reader reader) {
  ImageData image;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kVarint): image.height = reader.get_int32(); break;
      case tag_and_type(2, kVarint): image.width = reader.get_int32(); break;
      case tag_and_type(3, kVarint): image.colorspace = reader.get_int32(); break;
      case tag_and_type(4, kBytes): image.encoded = TextOf(reader); break;
      default: reader.skip();
    }
  }
  return image;
}

// ---- Audio: 1 sample_rate, 2 num_channels, 3 length_frames, 4 encoded_audio_string,
// 5 content_type ----

std::string EncodeAudio(const AudioData& audio) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (std::bit_cast<std::uint32_t>(audio.sample_rate) != 0) {
    writer.add_float(1, audio.sample_rate);
  }
  if (audio.num_channels != 0) writer.add_int64(2, audio.num_channels);
  if (audio.length_frames != 0) writer.add_int64(3, audio.length_frames);
  AddText(writer, 4, audio.encoded);
  AddText(writer, 5, audio.content_type);
  return bytes;
}

AudioData DecodeAudio(pbf_reader reader) {
  AudioData audio;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kFixed32): audio.sample_rate = reader.get_float(); break;
      case tag_and_type(2, kVarint): audio.num_channels = reader.get_int64(); break;
      case tag_and_type(3, kVarint): audio.length_frames = reader.get_int64(); break;
      case tag_and_type(4, kBytes): audio.encoded = TextOf(reader); break;
      case tag_and_type(5, kBytes): audio.content_type = Utf8Of(reader); break;
      default: reader.skip();
    }
  }
  return audio;
}

// ---- SummaryMetadata: 1 plugin_data { 1 plugin_name, 2 content }, 2 display_name,
// 3 summary_description, 4 data_class ----

void DecodePlugin(pbf_reader reader, SummaryMetadata& metadata) {
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): metadata.plugin_name = Utf8Of(reader); break;
      case tag_and_type(2, kBytes): metadata.plugin_content = TextOf(reader); break;
      default: reader.skip();
    }
  }
}

SummaryMetadata DecodeMetadataFields(pbf_reader reader) {
  SummaryMetadata metadata;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): DecodePlugin(reader.get_message(), metadata); break;
      case tag_and_type(2, kBytes): metadata.display_name = Utf8Of(reader); break;
      case tag_and_type(3, kBytes): metadata.summary_description = Utf8Of(reader); break;
      case tag_and_type(4, kVarint): metadata.data_class = reader.get_enum(); break;
      default: reader.skip();
    }
  }
  return metadata;
}

// ---- Summary: 1 value; Value: 1 tag, 9 metadata, and one of 2 simple_value, 4 image, 5 histo,
// 6 audio, 8 tensor ----

struct ValueEncoder {
  pbf_writer& writer;

  void operator()(float value) const { writer.add_float(2, value); }
  void operator()(const ImageData& value) const { writer.add_message(4, EncodeImage(value)); }
  void operator()(const HistogramData& value) const {
    writer.add_message(5, EncodeHistogram(value));
  }
  void operator()(const AudioData& value) const { writer.add_message(6, EncodeAudio(value)); }
  void operator()(const TensorData& value) const { writer.add_message(8, EncodeTensor(value)); }
  void operator()(const OtherSummaryValue& value) const { WAYPOST_CHECK(value.field == 0); }
};

std::string EncodeValue(const SummaryValue& value) {
  std::string bytes;
  pbf_writer writer(bytes);
  AddText(writer, 1, value.tag);
  WAYPOST_CHECK(!std::holds_alternative<OtherSummaryValue>(value.value));
  std::visit(ValueEncoder{writer}, value.value);
  if (value.metadata) writer.add_message(9, EncodeMetadata(*value.metadata));
  return bytes;
}

SummaryValue DecodeValue(pbf_reader reader) {
  SummaryValue value = {.value = OtherSummaryValue{}};
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(1, kBytes): value.tag = Utf8Of(reader); break;
      case tag_and_type(2, kFixed32): value.value = reader.get_float(); break;
      case tag_and_type(3, kBytes):
        value.value = OtherSummaryValue{reader.tag()};
        reader.skip();
        break;
      case tag_and_type(4, kBytes): value.value = DecodeImage(reader.get_message()); break;
      case tag_and_type(5, kBytes): value.value = DecodeHistogram(reader.get_message()); break;
      case tag_and_type(6, kBytes): value.value = DecodeAudio(reader.get_message()); break;
      case tag_and_type(8, kBytes): value.value = DecodeTensorData(reader.get_message()); break;
      case tag_and_type(9, kBytes):
        value.metadata = DecodeMetadataFields(reader.get_message());
        break;
      default: reader.skip();
    }
  }
  return value;
}

std::string_view TagOf(pbf_reader value) {
  std::string_view tag;
  while (value.next()) {
    if (value.tag_and_type() == tag_and_type(1, kBytes)) {
      tag = TextOf(value);
    } else {
      value.skip();
    }
  }
  return tag;
}

// Calls `visit` with each field and its bytes, the tag's included.
template <typename Visit>
void ForEachField(std::string_view message, Visit visit) {
  pbf_reader reader(message.data(), message.size());
  const char* begin = message.data();
  while (reader.next()) {
    pbf_reader field = reader;
    reader.skip();
    const char* end = reader.data().data();
    visit(field, std::string_view(begin, static_cast<std::size_t>(end - begin)));
    begin = end;
  }
}

// False when there was none.
bool AppendWithoutMetadata(pbf_reader value, std::string& target) {
  bool found = false;
  std::string kept;
  const protozero::data_view all = value.data();
  ForEachField({all.data(), all.size()}, [&](pbf_reader& field, std::string_view bytes) {
    if (field.tag_and_type() == tag_and_type(9, kBytes)) {
      found = true;
    } else {
      kept += bytes;
    }
  });
  pbf_writer(target).add_bytes(1, kept.data(), kept.size());
  return found;
}

}  // namespace

std::string EncodeSummary(std::span<const SummaryValue> values) {
  std::string bytes;
  pbf_writer writer(bytes);
  for (const SummaryValue& value : values) writer.add_message(1, EncodeValue(value));
  return bytes;
}

std::optional<std::vector<SummaryValue>> DecodeSummary(std::span<const std::byte> bytes) {
  return TryDecode<std::vector<SummaryValue>>(bytes, [](pbf_reader reader) {
    std::vector<SummaryValue> values;
    while (reader.next()) {
      if (reader.tag_and_type() == tag_and_type(1, kBytes)) {
        if (values.size() == kSummaryValuesMax) throw NotSuchMessage{};
        values.push_back(DecodeValue(reader.get_message()));
      } else {
        reader.skip();
      }
    }
    return values;
  });
}

std::optional<std::string> DropMetadata(std::string_view bytes,
                                        const std::function<bool(std::string_view tag)>& is_known) {
  std::string rest;
  bool dropped = false;
  ForEachField(bytes, [&](pbf_reader& field, std::string_view field_bytes) {
    if (field.tag_and_type() != tag_and_type(1, kBytes)) {
      rest += field_bytes;
      return;
    }
    const pbf_reader value = field.get_message();
    if (is_known(TagOf(value))) {
      dropped |= AppendWithoutMetadata(value, rest);
    } else {
      rest += field_bytes;
    }
  });
  return dropped ? std::optional(std::move(rest)) : std::nullopt;
}

std::string EncodeMetadata(const SummaryMetadata& metadata) {
  std::string bytes;
  pbf_writer writer(bytes);
  if (!metadata.plugin_name.empty() || !metadata.plugin_content.empty()) {
    pbf_writer plugin(writer, 1);
    AddText(plugin, 1, metadata.plugin_name);
    AddText(plugin, 2, metadata.plugin_content);
  }
  AddText(writer, 2, metadata.display_name);
  AddText(writer, 3, metadata.summary_description);
  if (metadata.data_class != 0) writer.add_enum(4, metadata.data_class);
  return bytes;
}

std::optional<SummaryMetadata> DecodeMetadata(std::span<const std::byte> bytes) {
  return TryDecode<SummaryMetadata>(bytes, DecodeMetadataFields);
}

std::optional<float> SummaryValue::Scalar() const noexcept {
  if (const float* simple = std::get_if<float>(&value)) return *simple;
  const auto* tensor = std::get_if<TensorData>(&value);
  if (tensor == nullptr || tensor->dtype != DType::kFloat32 || !tensor->shape.empty() ||
      tensor->content.size() != sizeof(float)) {
    return std::nullopt;
  }
  return LoadFixed<float>(AsBytes(tensor->content).data());
}

std::string_view SummaryValueKind(const SummaryValue& value) noexcept {
  struct Name {
    std::string_view operator()(float) const { return "simple_value"; }
    std::string_view operator()(const HistogramData&) const { return "histo"; }
    std::string_view operator()(const ImageData&) const { return "image"; }
    std::string_view operator()(const AudioData&) const { return "audio"; }
    std::string_view operator()(const TensorData&) const { return "tensor"; }
    std::string_view operator()(const OtherSummaryValue& other) const {
      return other.field == 3 ? "obsolete_old_style_histogram" : "none";
    }
  };
  return std::visit(Name{}, value.value);
}

}  // namespace waypost
