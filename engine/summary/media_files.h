// The files within image and audio values: PNG by libpng, WAV.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace waypost {

struct ImageSize {
  std::uint32_t height = 0;    // pixels
  std::uint32_t width = 0;     // pixels
  std::uint32_t channels = 1;  // 1 gray, 3 RGB, 4 RGBA
};

// A PNG file of 8 bits a channel.  Requires: as many pixels as the size says, at least one.  Throws
// kInvalidArgument for what libpng refuses, such as more than a million pixels a side.
std::string EncodePng(const ImageSize& size, std::span<const std::uint8_t> pixels);

struct AudioFormat {
  std::uint32_t sample_rate = 0;  // Hz
  std::uint16_t channels = 1;
};

// A WAV file of 16 bits a sample (core/lib/wav/wav_io.cc): frame after frame, -1 as -32768, 1 and
// what is beyond as the largest; NaN as 0.  Requires: whole frames, below 4 GiB.
std::string EncodeWav(const AudioFormat& format, std::span<const float> samples);

}  // namespace waypost
