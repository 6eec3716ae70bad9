// What summaries show of tensors: the values that TensorFlow's operations make of the same ones.
//
//   EvaluateSummary, Summary::Add... -> [these] -> SummaryValue
//
// Errors: kInvalidArgument, naming `tag`, for what TensorFlow's operations refuse; what a device
//         throws.
#pragma once

#include <string>
#include <vector>

#include "summary/tensor_values.h"
#include "waypost/event.h"

namespace waypost {

// Requires: IsRealDType(view.dtype()), here and for a histogram.
float ScalarOf(const std::string& tag, const ConstTensorView& view, const TensorMemory& memory);
HistogramData HistogramOf(const std::string& tag, const ConstTensorView& view,
                          const TensorMemory& memory);

// The first `count_max` images of [batch, height, width, channels].
std::vector<ImageData> ImagesOf(const std::string& tag, const ConstTensorView& view,
                                std::size_t count_max, const TensorMemory& memory);
// The first `count_max` clips of float32 [batch, frames] or [batch, frames, channels].
struct AudioLimits {
  std::size_t count_max = 1;
  float sample_rate = 0;  // Hz
};
std::vector<AudioData> AudioOf(const std::string& tag, const ConstTensorView& view,
                               const AudioLimits& limits, const TensorMemory& memory);
TensorData TensorOf(const std::string& tag, const ConstTensorView& view,
                    const TensorMemory& memory);

// Texts of a message are UTF-8.
void CheckMetadata(const std::string& tag, const SummaryMetadata& metadata);

}  // namespace waypost
