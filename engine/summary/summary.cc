#include "waypost/summary.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/escape.h"
#include "summary/real_values.h"
#include "summary/summary_values.h"
#include "waypost/error.h"
#include "wire/summary_messages.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

DeviceRegistry HostOnly() {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(MakeHostDevice());
  return DeviceRegistry(std::move(devices));
}

std::string Tag(std::string_view tag) {
  if (!IsUtf8(tag)) throw Error(Code::kInvalidArgument, "add summary: the tag is not UTF-8");
  return std::string(tag);
}

void CheckRank(const std::string& tag, const ConstTensorView& view, std::size_t rank) {
  if (view.shape().size() == rank) return;
  throw Error(Code::kInvalidArgument, fmt::format("summary '{}': shape {} is not of rank {}",
                                                  Printable(tag), ShapeText(view.shape()), rank));
}

// The same memory as a batch of one.
ConstTensorView BatchOf(const ConstTensorView& view) {
  Shape shape = {1};
  shape.insert(shape.end(), view.shape().begin(), view.shape().end());
  return {view.data(), view.dtype(), std::move(shape)};
}

void Append(std::string& serialized, const SummaryValue& value) {
  serialized += EncodeSummary({&value, 1});
}

}  // namespace

Summary Summary::Parse(std::string_view serialized) {
  if (!DecodeSummary(AsBytes(serialized))) {
    throw Error(Code::kDataLoss, "parse summary: the bytes are no Summary message");
  }
  Summary summary;
  summary.serialized_ = serialized;
  return summary;
}

std::vector<SummaryValue> Summary::Values() const {
  return DecodeSummary(AsBytes(serialized_)).value();
}

void Summary::AddScalar(std::string_view tag, float value) {
  Append(serialized_, {.tag = Tag(tag), .value = value});
}

void Summary::AddHistogram(std::string_view tag, const ConstTensorView& values) {
  const std::string name = Tag(tag);
  if (!IsRealDType(values.dtype())) {
    throw Error(Code::kInvalidArgument, fmt::format("summary '{}': a histogram of {}",
                                                    Printable(name), DTypeName(values.dtype())));
  }
  const DeviceRegistry host = HostOnly();
  Append(serialized_, {.tag = name, .value = HistogramOf(name, values, {host})});
}

void Summary::AddImage(std::string_view tag, const ConstTensorView& pixels) {
  const std::string name = Tag(tag);
  CheckRank(name, pixels, 3);
  const DeviceRegistry host = HostOnly();
  Append(serialized_, {.tag = name, .value = ImagesOf(name, BatchOf(pixels), 1, {host}).at(0)});
}

void Summary::AddAudio(std::string_view tag, const ConstTensorView& samples, float sample_rate) {
  const std::string name = Tag(tag);
  CheckRank(name, samples, 2);
  const DeviceRegistry host = HostOnly();
  const AudioLimits limits = {.count_max = 1, .sample_rate = sample_rate};
  Append(serialized_,
         {.tag = name, .value = AudioOf(name, BatchOf(samples), limits, {host}).at(0)});
}

void Summary::AddText(std::string_view tag, std::string_view text) {
  const std::string string(text);
  AddTensor(tag, ConstTensorView(&string, DType::kString, {}), {.plugin_name = "text"});
}

void Summary::AddTensor(std::string_view tag, const ConstTensorView& tensor,
                        const SummaryMetadata& metadata) {
  const std::string name = Tag(tag);
  CheckMetadata(name, metadata);
  const DeviceRegistry host = HostOnly();
  Append(serialized_, {.tag = name, .value = TensorOf(name, tensor, {host}), .metadata = metadata});
}

}  // namespace waypost
