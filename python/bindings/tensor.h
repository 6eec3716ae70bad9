// TensorRef: a NamedTensor as Python gives it, and the strings of one that has no memory outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "waypost/engine.h"

namespace waypost::python {

class TensorRef {
 public:
  // A tensor at `address`, which the caller keeps until nothing reads or fills it any more.
  TensorRef(nb::bytes name, const std::string& dtype, Shape shape, std::uintptr_t address);
  // One of strings, its own.
  TensorRef(nb::bytes name, Shape shape, const std::vector<nb::bytes>& strings);
  // Its view points into itself.
  TensorRef(const TensorRef&) = delete;
  TensorRef& operator=(const TensorRef&) = delete;

  // It is the box of the checkpoint's tensor, of shape `full_shape`, that begins at `starts`.
  void SetSlice(Shape full_shape, const std::vector<std::int64_t>& starts);
  void SetDevice(std::string device) { named_.device = std::move(device); }

  const NamedTensor& named() const noexcept { return named_; }
  nb::list Strings() const;
  // As many as there are; at the same place.
  void SetStrings(const std::vector<nb::bytes>& strings);

 private:
  std::vector<std::string> strings_;
  NamedTensor named_;
};

// For calls that take them all; the references must stay meanwhile.
std::vector<NamedTensor> NamedTensorsOf(const std::vector<TensorRef*>& tensors);

nb::bytes ToBytes(const std::string& text);
std::string ToString(const nb::bytes& bytes);
std::vector<std::string> ToStrings(const std::vector<nb::bytes>& bytes);

// TensorFlow's name; throws kInvalidArgument for another.
DType DTypeOf(const std::string& name);

}  // namespace waypost::python
