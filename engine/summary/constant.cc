#include "summary/constant.h"

#include <fmt/format.h>

#include <protozero/pbf_reader.hpp>

#include "base/bytes.h"
#include "waypost/error.h"
#include "wire/message_decoding.h"
#include "wire/tensor_message.h"

namespace waypost {
namespace {

// What elements that are not in the file may take.
constexpr std::uint64_t kFilledBytesMax = std::uint64_t{64} << 20;

Error Refusal(const Node& node, std::string_view reason) {
  return Error(Code::kInvalidArgument, fmt::format("constant {}: {}", node.name, reason));
}

// AttrValue: 8 tensor.
std::optional<TensorData> Decode(const EncodedAttr& attr) {
  return TryDecode<TensorData>(AsBytes(attr.bytes), [](protozero::pbf_reader reader) {
    TensorData tensor;
    while (reader.next(8, kBytes)) tensor = DecodeTensorData(reader.get_message());
    return tensor;
  });
}

// The fields int_val of a message, which are of any integer of 32 bits or less.
std::string ContentOf(const std::vector<std::int32_t>& ints, DType dtype) {
  std::string content;
  for (const std::int32_t value : ints) {
    std::string bytes;
    AppendFixed(bytes, static_cast<std::uint32_t>(value));
    content += bytes.substr(0, ElementBytes(dtype));
  }
  return content;
}

TensorData GivenBy(const Node& node) {
  const auto attr = node.attrs.find("value");
  if (attr == node.attrs.end()) throw Refusal(node, "it has no value");
  std::optional<TensorData> tensor;
  if (const auto* value = std::get_if<TensorValue>(&attr->second)) {
    tensor = {
        .dtype = value->dtype,
        .shape = value->shape,
        .content = value->content.empty() ? ContentOf(value->ints, value->dtype) : value->content,
        .strings = value->strings};
  } else if (const auto* encoded = std::get_if<EncodedAttr>(&attr->second)) {
    tensor = Decode(*encoded);
  }
  if (!tensor) throw Refusal(node, "its value is no tensor");
  return *std::move(tensor);
}

std::uint64_t FilledBytes(const TensorData& tensor, std::uint64_t missing) {
  if (tensor.dtype != DType::kString) return missing * ElementBytes(tensor.dtype);
  const std::size_t text_bytes = tensor.strings.empty() ? 0 : tensor.strings.back().size();
  return missing * (sizeof(std::string) + text_bytes);
}

// As Tensor::FromProto of TensorFlow: the last element stands for all that are left out, and zero
// where there is none.
void Fill(TensorData& tensor, std::uint64_t count) {
  if (tensor.dtype == DType::kString) {
    tensor.strings.resize(count, tensor.strings.empty() ? "" : std::string(tensor.strings.back()));
    return;
  }
  const std::size_t element_bytes = ElementBytes(tensor.dtype);
  const std::string last = tensor.content.empty()
                               ? std::string(element_bytes, '\0')
                               : tensor.content.substr(tensor.content.size() - element_bytes);
  tensor.content.reserve(count * element_bytes);
  while (tensor.content.size() < count * element_bytes) tensor.content += last;
}

bool IsComplex(DType dtype) noexcept {
  return dtype == DType::kComplex64 || dtype == DType::kComplex128;
}

}  // namespace

Constant::Constant(const Node& node) : tensor_(GivenBy(node)) {
  const std::size_t element_bytes = ElementBytes(tensor_.dtype);
  if (tensor_.dtype != DType::kString && element_bytes == 0) {
    throw Refusal(node, fmt::format("a value of {} is not understood", DTypeName(tensor_.dtype)));
  }
  // Numbers of scomplex_val and dcomplex_val are not read.
  if (IsComplex(tensor_.dtype) && tensor_.content.empty()) {
    throw Refusal(node, "complex numbers that are not in its content are not understood");
  }
  const auto count = static_cast<std::uint64_t>(ElementCount(tensor_.shape));
  const std::uint64_t given = tensor_.dtype == DType::kString
                                  ? tensor_.strings.size()
                                  : tensor_.content.size() / element_bytes;
  if (given > count || (element_bytes != 0 && tensor_.content.size() % element_bytes != 0)) {
    throw Refusal(node, "its value does not have the elements of its shape");
  }
  if (count - given > kFilledBytesMax || FilledBytes(tensor_, count - given) > kFilledBytesMax) {
    throw Refusal(node, fmt::format("its {} elements are too many", count));
  }
  Fill(tensor_, count);
}

ConstTensorView Constant::view() const {
  const void* const data = tensor_.dtype == DType::kString
                               ? static_cast<const void*>(tensor_.strings.data())
                               : static_cast<const void*>(tensor_.content.data());
  return {data, tensor_.dtype, tensor_.shape};
}

}  // namespace waypost
