#include "summary/media_files.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::uint32_t kWavHeaderBytes = 36;  // behind "RIFF" and the size
constexpr std::uint32_t kFormatBytes = 16;
constexpr std::uint16_t kPcm = 1;
constexpr std::uint16_t kSampleBytes = sizeof(std::int16_t);

std::int16_t Sample(float value) {
  if (std::isnan(value)) return 0;
  using Limits = std::numeric_limits<std::int16_t>;
  const float scaled = std::round(value * 32768.0F);
  return static_cast<std::int16_t>(std::clamp(scaled, float{Limits::min()}, float{Limits::max()}));
}

}  // namespace

std::string EncodePng(const ImageSize& size, std::span<const std::uint8_t> pixels) {
  WAYPOST_CHECK(pixels.size() == std::size_t{size.height} * size.width * size.channels);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = size.width;
  image.height = size.height;
  image.format = size.channels == 1   ? PNG_FORMAT_GRAY
                 : size.channels == 3 ? PNG_FORMAT_RGB
                                      : PNG_FORMAT_RGBA;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string file(bytes, '\0');
  if (png_image_write_to_memory(&image, file.data(), &bytes, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(Code::kInvalidArgument, fmt::format("encode PNG of {} x {} pixels: {}", size.width,
                                                    size.height, image.message));
  }
  file.resize(bytes);
  return file;
}

std::string EncodeWav(const AudioFormat& format, std::span<const float> samples) {
  const std::uint64_t data_bytes = std::uint64_t{samples.size()} * kSampleBytes;
  WAYPOST_CHECK(data_bytes <= std::numeric_limits<std::uint32_t>::max() - kWavHeaderBytes);
  const auto frame_bytes = std::uint32_t{format.channels} * kSampleBytes;
  std::string file = "RIFF";
  AppendFixed(file, static_cast<std::uint32_t>(kWavHeaderBytes + data_bytes));
  file += "WAVEfmt ";
  AppendFixed(file, kFormatBytes);
  AppendFixed(file, kPcm);
  AppendFixed(file, format.channels);
  AppendFixed(file, format.sample_rate);
  // Where a field is too narrow it has the low bits, in TensorFlow's files, too.
  AppendFixed(file, std::uint32_t{format.sample_rate * frame_bytes});
  AppendFixed(file, static_cast<std::uint16_t>(frame_bytes));
  AppendFixed(file, static_cast<std::uint16_t>(8 * kSampleBytes));
  file += "data";
  AppendFixed(file, static_cast<std::uint32_t>(data_bytes));
  for (const float sample : samples) AppendFixed(file, Sample(sample));
  return file;
}

}  // namespace waypost
