#include "bindings/tensor.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "waypost/error.h"

namespace waypost::python {
std::string ToString(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

DType DTypeOf(const std::string& name) {
  if (const std::optional<DType> dtype = DTypeFromName(name)) return *dtype;
  throw Error(Code::kInvalidArgument, fmt::format("{}: no dtype has this name", name));
}

std::vector<std::string> ToStrings(const std::vector<nb::bytes>& bytes) {
  std::vector<std::string> strings;
  strings.reserve(bytes.size());
  for (const nb::bytes& item : bytes) strings.push_back(ToString(item));
  return strings;
}

nb::bytes ToBytes(const std::string& text) { return nb::bytes(text.data(), text.size()); }

TensorRef::TensorRef(nb::bytes name, const std::string& dtype, Shape shape, std::uintptr_t address)
    : named_{.name = ToString(name),
             .tensor =
                 TensorView(reinterpret_cast<void*>(address), DTypeOf(dtype), std::move(shape))} {}

TensorRef::TensorRef(nb::bytes name, Shape shape, const std::vector<nb::bytes>& strings)
    : strings_(ToStrings(strings)), named_{.name = ToString(name), .tensor = {}} {
  const auto count = static_cast<std::uint64_t>(ElementCount(shape));
  if (strings_.empty()) strings_.resize(count);
  if (strings_.size() != count) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: {} strings for shape {}", named_.name,
                                                    strings_.size(), ShapeText(shape)));
  }
  named_.tensor = TensorView(strings_.data(), DType::kString, std::move(shape));
}

void TensorRef::SetSlice(Shape full_shape, const std::vector<std::int64_t>& starts) {
  const Shape& shape = named_.tensor.shape();
  if (starts.size() != shape.size()) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: {} offsets for a slice of shape {}",
                                                    named_.name, starts.size(), ShapeText(shape)));
  }
  named_.slice.extents.clear();
  for (std::size_t i = 0; i < starts.size(); ++i) {
    named_.slice.extents.push_back({.start = starts[i], .length = shape[i]});
  }
  named_.full_shape = std::move(full_shape);
}

nb::list TensorRef::Strings() const {
  nb::list list;
  for (const std::string& string : strings_) list.append(ToBytes(string));
  return list;
}

void TensorRef::SetStrings(const std::vector<nb::bytes>& strings) {
  if (strings.size() != strings_.size()) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: {} strings, and not {}", named_.name,
                                                    strings.size(), strings_.size()));
  }
  for (std::size_t i = 0; i < strings.size(); ++i) strings_[i] = ToString(strings[i]);
}

std::vector<NamedTensor> NamedTensorsOf(const std::vector<TensorRef*>& tensors) {
  std::vector<NamedTensor> named;
  named.reserve(tensors.size());
  for (const TensorRef* tensor : tensors) named.push_back(tensor->named());
  return named;
}

void BindTensors(nb::module_& module) {
  nb::class_<TensorRef>(module, "TensorRef", "A named tensor of borrowed memory, or of strings.")
      .def(nb::init<nb::bytes, const std::string&, Shape, std::uintptr_t>(), nb::arg("name"),
           nb::arg("dtype"), nb::arg("shape"), nb::arg("address"))
      .def(nb::init<nb::bytes, Shape, const std::vector<nb::bytes>&>(), nb::arg("name"),
           nb::arg("shape"), nb::arg("strings"), "Without strings it has empty ones, to be filled.")
      .def("set_slice", &TensorRef::SetSlice, nb::arg("full_shape"), nb::arg("starts"))
      .def("set_device", &TensorRef::SetDevice, nb::arg("device"))
      .def("strings", &TensorRef::Strings, nb::sig("def strings(self) -> list[bytes]"))
      .def("set_strings", &TensorRef::SetStrings, nb::arg("strings"));
}

}  // namespace waypost::python
