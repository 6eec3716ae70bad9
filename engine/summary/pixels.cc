#include "summary/pixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"
#include "base/half.h"
#include "summary/real_values.h"

namespace waypost {
namespace {

// TensorFlow's default, by channel.
constexpr std::array<std::uint8_t, 4> kBadColor = {255, 0, 0, 255};
// An image that is darker than this all over is black.
constexpr float kZeroThreshold = 1e-6F;

// A 16-bit float of which each operation's result is one, too.
struct Half {
  float value = 0;
  Half() = default;
  explicit Half(float number)
      : value(FloatFromHalf(
            LoadFixed<std::uint16_t>(EncodeReal(double{number}, DType::kFloat16).data()))) {}
  explicit operator float() const { return value; }
};
Half operator*(Half a, Half b) { return Half(a.value * b.value); }
Half operator+(Half a, Half b) { return Half(a.value + b.value); }

template <typename T>
T Load(const std::byte* data) {
  return LoadFixed<T>(data);
}
template <>
Half Load<Half>(const std::byte* data) {
  Half half;
  half.value = FloatFromHalf(LoadFixed<std::uint16_t>(data));
  return half;
}

bool IsFinite(Half half) { return std::isfinite(half.value); }
template <typename T>
bool IsFinite(T value) {
  return std::isfinite(value);
}

// What the type cannot hold is 0, as it is in TensorFlow on x86.
template <typename T>
std::uint8_t Truncated(T value) {
  return value >= T{0} && value < T{256} ? static_cast<std::uint8_t>(value) : std::uint8_t{0};
}
template <>
std::uint8_t Truncated<Half>(Half value) {
  return Truncated(value.value);
}

template <typename T>
class FloatImage {
 public:
  FloatImage(const std::byte* data, std::size_t pixels, std::size_t channels)
      : data_(data), pixels_(pixels), channels_(channels) {}

  std::vector<std::uint8_t> Scaled() const {
    const Scale scale = ScaleToBytes();
    std::vector<std::uint8_t> bytes(pixels_ * channels_);
    for (std::size_t pixel = 0; pixel < pixels_; ++pixel) {
      const bool finite = IsFinitePixel(pixel);
      for (std::size_t channel = 0; channel < channels_; ++channel) {
        bytes[pixel * channels_ + channel] =
            finite ? Truncated(At(pixel, channel) * scale.factor + scale.offset)
                   : kBadColor.at(channel);
      }
    }
    return bytes;
  }

 private:
  struct Scale {
    T factor;
    T offset;
  };

  T At(std::size_t pixel, std::size_t channel) const {
    constexpr std::size_t kWidth = std::is_same_v<T, Half> ? sizeof(std::uint16_t) : sizeof(T);
    return Load<T>(data_ + (pixel * channels_ + channel) * kWidth);
  }
  bool IsFinitePixel(std::size_t pixel) const {
    for (std::size_t channel = 0; channel < channels_; ++channel) {
      if (!IsFinite(At(pixel, channel))) return false;
    }
    return true;
  }

  // TensorFlow reckons it in float, whatever the type.
  Scale ScaleToBytes() const {
    float min = std::numeric_limits<float>::infinity();
    float max = -min;
    for (std::size_t pixel = 0; pixel < pixels_; ++pixel) {
      if (!IsFinitePixel(pixel)) continue;
      for (std::size_t channel = 0; channel < channels_; ++channel) {
        const auto value = static_cast<float>(At(pixel, channel));
        min = std::min(min, value);
        max = std::max(max, value);
      }
    }
    if (min < 0) {
      const float largest = std::max(std::abs(min), max);
      return {.factor = T(largest < kZeroThreshold ? 0.0F : 127.0F / largest), .offset = T(128.0F)};
    }
    return {.factor = T(max < kZeroThreshold ? 0.0F : 255.0F / max), .offset = T(0.0F)};
  }

  const std::byte* data_;
  std::size_t pixels_;
  std::size_t channels_;
};

}  // namespace

bool IsPixelDType(DType dtype) noexcept {
  return dtype == DType::kUInt8 || dtype == DType::kFloat16 || dtype == DType::kFloat32 ||
         dtype == DType::kFloat64;
}

std::vector<std::uint8_t> PixelBytes(const ConstTensorView& image) {
  const auto* data = static_cast<const std::byte*>(image.data());
  const auto pixels = static_cast<std::size_t>(image.shape()[0] * image.shape()[1]);
  const auto channels = static_cast<std::size_t>(image.shape()[2]);
  switch (image.dtype()) {
    case DType::kFloat16: return FloatImage<Half>(data, pixels, channels).Scaled();
    case DType::kFloat32: return FloatImage<float>(data, pixels, channels).Scaled();
    case DType::kFloat64: return FloatImage<double>(data, pixels, channels).Scaled();
    default: break;
  }
  WAYPOST_CHECK(image.dtype() == DType::kUInt8);
  const auto* bytes = static_cast<const std::uint8_t*>(image.data());
  return {bytes, bytes + pixels * channels};
}

}  // namespace waypost
