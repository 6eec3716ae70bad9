#include "summary/feeds.h"

#include <fmt/format.h>

#include <algorithm>

#include "summary/real_values.h"

namespace waypost {
namespace {

bool IsCompatible(const Shape& shape, const Shape& spec) {
  return std::equal(
      shape.begin(), shape.end(), spec.begin(), spec.end(),
      [](std::int64_t dim, std::int64_t wanted) { return wanted == -1 || dim == wanted; });
}

std::array<std::byte, 8> EncodeNumber(const std::string& name, double number, DType dtype) {
  try {
    return EncodeReal(number, dtype);
  } catch (const Error& error) {
    throw Error(error.code(),
                fmt::format("feed {} of {}: {}", name, DTypeName(dtype), error.what()));
  }
}

}  // namespace

Feed::Feed(double scalar) : is_scalar_(true), scalar_(scalar) {}
Feed::Feed(const ConstTensorView& view) : view_(view) {}

std::string TensorSpecText(DType dtype, const Shape& shape) {
  return fmt::format("{} {}", DTypeName(dtype), ShapeText(shape));
}

Feeds::Feeds(const Graph::Impl& graph, const std::vector<std::pair<Output, Feed>>& feeds) {
  for (const auto& [output, feed] : feeds) Add(graph, output, feed);
}

const ConstTensorView* Feeds::Find(const Output& input) const {
  const auto found = tensors_.find(input.node);
  return found == tensors_.end() ? nullptr : &found->second.view;
}

void Feeds::Add(const Graph::Impl& graph, const Output& output, const Feed& feed) {
  const Graph::Impl::ValueSpec spec = graph.SpecOf(output);
  const std::string& name = graph.model().nodes[output.node].name;
  const auto [entry, inserted] = tensors_.try_emplace(output.node);
  if (!inserted) throw Error(Code::kInvalidArgument, fmt::format("feed {}: it is fed twice", name));
  Tensor& tensor = entry->second;
  if (feed.is_scalar()) {
    if (!IsRealDType(spec.dtype)) {
      throw Error(Code::kInvalidArgument, fmt::format("feed {}: it is {} and the feed a number",
                                                      name, DTypeName(spec.dtype)));
    }
    tensor.number = EncodeNumber(name, feed.scalar(), spec.dtype);
    tensor.view = ConstTensorView(tensor.number.data(), spec.dtype, {});
  } else {
    tensor.view = feed.view();
  }
  const Shape& shape = spec.shape ? *spec.shape : tensor.view.shape();
  if (tensor.view.dtype() != spec.dtype || !IsCompatible(tensor.view.shape(), shape)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("feed {}: it is {} and the feed {}", name, TensorSpecText(spec.dtype, shape),
                    TensorSpecText(tensor.view.dtype(), tensor.view.shape())));
  }
}

}  // namespace waypost
