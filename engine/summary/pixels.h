// Pixels as an image summary shows them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "waypost/tensor.h"

namespace waypost {

// uint8 as it is, half, float and double: what TensorFlow's ImageSummary takes.
bool IsPixelDType(DType dtype) noexcept;

// One image [height, width, channels] in host memory as bytes.  Floats are scaled over the pixels
// that are finite, with TensorFlow's arithmetic (core/kernels/summary_image_op.cc): in the
// element's own type, and truncated.  Other pixels become red, or 255 with one channel. Requires:
// IsPixelDType(image.dtype()).
std::vector<std::uint8_t> PixelBytes(const ConstTensorView& image);

}  // namespace waypost
