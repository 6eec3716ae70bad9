#include "support/tensor_set.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace waypost {

SimAccelerator* TensorSet::AcceleratorOf(std::size_t tensor) const {
  return accelerators_.empty() ? nullptr : accelerators_[tensor % accelerators_.size()];
}

std::byte* TensorSet::Allocate(std::size_t size) {
  const std::size_t allocated = std::max<std::size_t>(size, 1);
  if (SimAccelerator* const accelerator = AcceleratorOf(tensors_.size())) {
    return accelerator_memory_.emplace_back(accelerator->Allocate(allocated)).get();
  }
  return host_memory_.emplace_back(std::make_unique<std::byte[]>(allocated)).get();
}

std::size_t TensorSet::Push(NamedTensor tensor) {
  tensors_.push_back(std::move(tensor));
  return tensors_.size() - 1;
}

std::size_t TensorSet::Add(const std::string& name, DType dtype, const Shape& shape,
                           std::mt19937_64& random) {
  const std::size_t size = static_cast<std::size_t>(ElementCount(shape)) * ElementBytes(dtype);
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min(sizeof(word), size - i));
  }
  if (dtype == DType::kBool) {
    for (char& byte : bytes) byte = static_cast<char>(byte & 1);
  }
  const std::size_t tensor =
      Push({.name = name, .tensor = TensorView(Allocate(size), dtype, shape)});
  SetContent(tensor, bytes);
  return tensor;
}

std::size_t TensorSet::AddSlice(const std::string& name, DType dtype, const Shape& full_shape,
                                const TensorSlice& slice, std::mt19937_64& random) {
  const std::size_t tensor = Add(name, dtype, SliceShape(full_shape, slice), random);
  tensors_[tensor].full_shape = full_shape;
  tensors_[tensor].slice = slice;
  return tensor;
}

std::size_t TensorSet::AddStrings(const std::string& name, const Shape& shape,
                                  std::vector<std::string> strings) {
  std::vector<std::string>& kept = strings_.emplace_back(std::move(strings));
  return Push({.name = name, .tensor = TensorView(kept.data(), DType::kString, shape)});
}

TensorSet TensorSet::Copy() const {
  TensorSet copy = Blank();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorView& view = tensors_[i].tensor;
    if (view.dtype() != DType::kString) {
      copy.SetContent(i, Content(i));
      continue;
    }
    const auto* const strings = static_cast<const std::string*>(view.data());
    std::copy_n(strings, view.element_count(),
                static_cast<std::string*>(copy.tensors_[i].tensor.data()));
  }
  return copy;
}

TensorSet TensorSet::BlankOn(const Accelerators& accelerators) const {
  TensorSet blank(accelerators);
  for (const NamedTensor& tensor : tensors_) {
    NamedTensor copy = tensor;
    const std::int64_t count = tensor.tensor.element_count();
    if (tensor.tensor.dtype() == DType::kString) {
      auto& strings = blank.strings_.emplace_back(static_cast<std::size_t>(count), "?");
      copy.tensor = TensorView(strings.data(), DType::kString, tensor.tensor.shape());
      blank.Push(std::move(copy));
      continue;
    }
    const std::size_t size = tensor.tensor.size_bytes();
    copy.tensor = TensorView(blank.Allocate(size), tensor.tensor.dtype(), tensor.tensor.shape());
    blank.SetContent(blank.Push(std::move(copy)), std::string(size, '\xA5'));
  }
  return blank;
}

void TensorSet::SetContent(std::size_t tensor, std::string_view bytes) {
  const TensorView& view = tensors_[tensor].tensor;
  WAYPOST_CHECK(view.dtype() != DType::kString && bytes.size() == view.size_bytes());
  auto* const data = static_cast<std::byte*>(view.data());
  if (SimAccelerator* const accelerator = AcceleratorOf(tensor)) {
    accelerator->Write(data, AsBytes(bytes));
  } else {
    std::ranges::copy(AsBytes(bytes), data);
  }
}

std::string TensorSet::Content(std::size_t tensor) const {
  const TensorView& view = tensors_[tensor].tensor;
  if (view.dtype() != DType::kString) {
    const auto* const data = static_cast<const std::byte*>(view.data());
    const SimAccelerator* const accelerator = AcceleratorOf(tensor);
    if (accelerator == nullptr) return std::string(AsText({data, view.size_bytes()}));
    return std::string(AsText(accelerator->Read(data, view.size_bytes())));
  }
  std::string content;
  const auto* strings = static_cast<const std::string*>(view.data());
  for (std::int64_t i = 0; i < view.element_count(); ++i) {
    AppendFixed<std::uint64_t>(content, strings[i].size());
    content += strings[i];
  }
  return content;
}

std::vector<std::string> TensorSet::Differences(const TensorSet& other) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].name != other.tensors_[i].name || Content(i) != other.Content(i)) {
      names.push_back(tensors_[i].name);
    }
  }
  return names;
}

TensorSet MakeRichState(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  TensorSet set;
  for (int number = 1; number <= 33; ++number) {
    const DType dtype = *DTypeFromNumber(number);
    if (ElementBytes(dtype) != 0)
      set.Add("all/" + std::string(DTypeName(dtype)), dtype, {3, 5}, random);
  }
  set.Add("scalar", DType::kFloat64, {}, random);
  set.Add("empty", DType::kFloat32, {3, 0, 2}, random);
  set.Add("large/kernel", DType::kFloat32, {300, 1000}, random);
  set.Add("large/odd", DType::kUInt8, {(std::int64_t{1} << 20) + 1}, random);
  set.Add("large/half", DType::kFloat16, {70, 500}, random);
  set.Add(std::string("odd\0name", 8), DType::kInt32, {2}, random);
  set.Add("n\xc3\xa4me with spaces\nand a line", DType::kInt32, {2}, random);
  set.Add("\xff\xfe", DType::kInt32, {2}, random);
  set.AddStrings("strings", {2, 2}, {"ab", "", std::string("\0\xff", 2), std::string(300, 'x')});
  set.AddStrings("string_scalar", {}, {"hello"});
  set.AddStrings("no_strings", {0}, {});
  return set;
}

TensorSet MakeSmallState(int step) {
  std::mt19937_64 random(static_cast<std::uint64_t>(step));
  TensorSet set;
  set.Add("dense/kernel", DType::kFloat32, {5, 7}, random);
  set.Add("dense/bias", DType::kFloat32, {7}, random);
  set.Add("step", DType::kInt64, {}, random);
  set.AddStrings("note", {1}, {"step " + std::to_string(step)});
  return set;
}

}  // namespace waypost
