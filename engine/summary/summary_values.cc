#include "summary/summary_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/escape.h"
#include "summary/histogram.h"
#include "summary/media_files.h"
#include "summary/pixels.h"
#include "summary/real_values.h"
#include "waypost/error.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

// Within protobuf's 2 GiB, whatever is added to it.
constexpr std::uint64_t kValueBytesMax = std::uint64_t{1} << 30;

Error Refusal(const std::string& tag, std::string_view reason) {
  return Error(Code::kInvalidArgument, fmt::format("summary '{}': {}", Printable(tag), reason));
}

void CheckSize(const std::string& tag, std::uint64_t size_bytes) {
  if (size_bytes > kValueBytesMax) {
    throw Refusal(tag, fmt::format("{} bytes are too large for a summary", size_bytes));
  }
}

// The elements of a member of a batch.
std::uint64_t MemberElements(const ConstTensorView& batch) {
  const Shape& shape = batch.shape();
  return shape[0] == 0 ? 0
                       : static_cast<std::uint64_t>(batch.element_count()) /
                             static_cast<std::uint64_t>(shape[0]);
}

std::size_t CountOf(const ConstTensorView& batch, std::size_t count_max) {
  return std::min(static_cast<std::size_t>(batch.shape()[0]), count_max);
}

void CheckImages(const std::string& tag, const ConstTensorView& view) {
  const Shape& shape = view.shape();
  if (!IsPixelDType(view.dtype())) {
    throw Refusal(tag, fmt::format("{} are no pixels", DTypeName(view.dtype())));
  }
  if (shape.size() != 4 || (shape[3] != 1 && shape[3] != 3 && shape[3] != 4)) {
    throw Refusal(tag, fmt::format("images must be of rank 4 with a last dimension of 1, 3 or 4, "
                                   "not {}",
                                   ShapeText(shape)));
  }
  if (shape[1] == 0 || shape[2] == 0) {
    throw Refusal(tag, fmt::format("images of shape {} have no pixels", ShapeText(shape)));
  }
  constexpr std::int64_t kSideMax = std::numeric_limits<std::int32_t>::max();
  if (shape[1] > kSideMax || shape[2] > kSideMax) {
    throw Refusal(tag, fmt::format("images of shape {} are too large", ShapeText(shape)));
  }
  CheckSize(tag, MemberElements(view) * ElementBytes(view.dtype()));
}

std::int64_t ChannelsOf(const ConstTensorView& clips) {
  return clips.shape().size() == 3 ? clips.shape()[2] : 1;
}

void CheckAudio(const std::string& tag, const ConstTensorView& view, float sample_rate) {
  const Shape& shape = view.shape();
  if (view.dtype() != DType::kFloat32 || (shape.size() != 2 && shape.size() != 3)) {
    throw Refusal(tag, fmt::format("audio must be float32 of rank 2 or 3, not {} {}",
                                   DTypeName(view.dtype()), ShapeText(shape)));
  }
  if (ChannelsOf(view) < 1 || ChannelsOf(view) > std::numeric_limits<std::uint16_t>::max()) {
    throw Refusal(tag, fmt::format("{} channels of audio", ChannelsOf(view)));
  }
  if (!(sample_rate > 0 && sample_rate < 0x1p32F)) {
    throw Refusal(tag, fmt::format("a sample rate of {} Hz", sample_rate));
  }
  CheckSize(tag, MemberElements(view) * sizeof(std::int16_t));
}

}  // namespace

float ScalarOf(const std::string& tag, const ConstTensorView& view, const TensorMemory& memory) {
  if (!view.shape().empty()) {
    throw Refusal(tag,
                  fmt::format("the value has shape {} and is no scalar", ShapeText(view.shape())));
  }
  const std::array<std::byte, 8> element_bytes = ReadScalar(view, memory);
  float value = 0;
  // From the element's own type: by way of double, large integers would be rounded twice.
  VisitReals(ConstTensorView(element_bytes.data(), view.dtype(), {}),
             [&](auto element) { value = static_cast<float>(element); });
  return value;
}

HistogramData HistogramOf(const std::string& tag, const ConstTensorView& view,
                          const TensorMemory& memory) {
  const HistogramTotals totals = CountValues(view, memory);
  const std::uint64_t not_finite = totals.first_not_finite;
  if (not_finite != HistogramTotals::kAllFinite) {
    throw Error(Code::kInvalidArgument, fmt::format("histogram '{}': a value is {}", Printable(tag),
                                                    not_finite % 2 == 1 ? "NaN" : "infinite"));
  }
  return Histogram(totals).Encode();
}

std::vector<ImageData> ImagesOf(const std::string& tag, const ConstTensorView& view,
                                std::size_t count_max, const TensorMemory& memory) {
  CheckImages(tag, view);
  const Shape& shape = view.shape();
  const ImageSize size = {.height = static_cast<std::uint32_t>(shape[1]),
                          .width = static_cast<std::uint32_t>(shape[2]),
                          .channels = static_cast<std::uint32_t>(shape[3])};
  const std::size_t image_bytes = MemberElements(view) * ElementBytes(view.dtype());
  std::vector<ImageData> images;
  for (std::size_t i = 0; i < CountOf(view, count_max); ++i) {
    const HostBytes bytes(view, {.begin = i * image_bytes, .size = image_bytes}, memory);
    const ConstTensorView image(bytes.data(), view.dtype(), {shape[1], shape[2], shape[3]});
    images.push_back({.height = static_cast<std::int32_t>(size.height),
                      .width = static_cast<std::int32_t>(size.width),
                      .colorspace = static_cast<std::int32_t>(size.channels),
                      .encoded = EncodePng(size, PixelBytes(image))});
  }
  return images;
}

std::vector<AudioData> AudioOf(const std::string& tag, const ConstTensorView& view,
                               const AudioLimits& limits, const TensorMemory& memory) {
  CheckAudio(tag, view, limits.sample_rate);
  const AudioFormat format = {
      // As TensorFlow rounds it: ties to even, and not to nothing.
      .sample_rate = static_cast<std::uint32_t>(std::max(1.0F, std::nearbyint(limits.sample_rate))),
      .channels = static_cast<std::uint16_t>(ChannelsOf(view))};
  const std::size_t samples = MemberElements(view);
  const std::size_t clip_bytes = samples * sizeof(float);
  std::vector<AudioData> clips;
  for (std::size_t i = 0; i < CountOf(view, limits.count_max); ++i) {
    const HostBytes bytes(view, {.begin = i * clip_bytes, .size = clip_bytes}, memory);
    std::vector<float> clip(samples);
    std::copy_n(bytes.data(), clip_bytes, std::as_writable_bytes(std::span(clip)).begin());
    clips.push_back({.sample_rate = limits.sample_rate,
                     .num_channels = format.channels,
                     .length_frames = view.shape()[1],
                     .encoded = EncodeWav(format, clip),
                     .content_type = "audio/wav"});
  }
  return clips;
}

TensorData TensorOf(const std::string& tag, const ConstTensorView& view,
                    const TensorMemory& memory) {
  TensorData tensor = {.dtype = view.dtype(), .shape = view.shape()};
  if (view.dtype() == DType::kString) {
    const auto* strings = static_cast<const std::string*>(view.data());
    tensor.strings.assign(strings, strings + view.element_count());
    std::uint64_t size_bytes = 0;
    for (const std::string& text : tensor.strings) size_bytes += text.size() + sizeof(text);
    CheckSize(tag, size_bytes);
    return tensor;
  }
  if (ElementBytes(view.dtype()) == 0) {
    throw Refusal(tag, fmt::format("a tensor of {} cannot be shown", DTypeName(view.dtype())));
  }
  CheckSize(tag, view.size_bytes());
  const HostBytes bytes(view, {.begin = 0, .size = view.size_bytes()}, memory);
  tensor.content.assign(reinterpret_cast<const char*>(bytes.data()), view.size_bytes());
  return tensor;
}

void CheckMetadata(const std::string& tag, const SummaryMetadata& metadata) {
  for (const std::string* text :
       {&metadata.plugin_name, &metadata.display_name, &metadata.summary_description}) {
    if (!IsUtf8(*text)) throw Refusal(tag, "a text of its metadata is not UTF-8");
  }
}

}  // namespace waypost
