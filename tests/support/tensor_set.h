// TensorSet: named tensors with memory of their own, for saving, restoring and comparing.
//
// All but strings are where this test program has its tensors (test_device.h), or on accelerators
// that are named: there only SetContent() and Content() reach them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/sim_accelerator.h"
#include "support/test_device.h"
#include "waypost/engine.h"

namespace waypost {

class TensorSet {
 public:
  using Accelerators = std::vector<SimAccelerator*>;
  static inline const Accelerators kHost = {};

  TensorSet() : TensorSet(TestAccelerators()) {}
  // On these by turns; without any in host memory.
  explicit TensorSet(Accelerators accelerators) : accelerators_(std::move(accelerators)) {}
  TensorSet(TensorSet&&) = default;
  TensorSet& operator=(TensorSet&&) = default;

  // Adds a tensor of random content; each returns its position.
  std::size_t Add(const std::string& name, DType dtype, const Shape& shape,
                  std::mt19937_64& random);
  std::size_t AddSlice(const std::string& name, DType dtype, const Shape& full_shape,
                       const TensorSlice& slice, std::mt19937_64& random);
  std::size_t AddStrings(const std::string& name, const Shape& shape,
                         std::vector<std::string> strings);
  void SetDevice(std::size_t tensor, const std::string& device) {
    tensors_[tensor].device = device;
  }

  // The same at the same place, with memory of its own.
  TensorSet Copy() const;
  // The same names, dtypes and shapes at the same place over memory of other content (0xA5 bytes,
  // "?" strings).
  TensorSet Blank() const { return BlankOn(accelerators_); }
  TensorSet BlankOn(const Accelerators& accelerators) const;

  const std::vector<NamedTensor>& tensors() const noexcept { return tensors_; }
  // Requires: `bytes` is as long as the tensor, which is not of strings.
  void SetContent(std::size_t tensor, std::string_view bytes);
  // The content, for comparing: bytes, or each string with its length before it.
  std::string Content(std::size_t tensor) const;
  // Names of the tensors whose content differs from `other`'s, which has the same names in order.
  std::vector<std::string> Differences(const TensorSet& other) const;

 private:
  std::size_t Push(NamedTensor tensor);
  // Where a tensor is; null: in host memory.
  SimAccelerator* AcceleratorOf(std::size_t tensor) const;
  // For the tensor that comes next.
  std::byte* Allocate(std::size_t size);

  Accelerators accelerators_;
  std::vector<NamedTensor> tensors_;
  std::vector<std::unique_ptr<std::byte[]>> host_memory_;
  std::vector<SimAccelerator::Memory> accelerator_memory_;
  std::deque<std::vector<std::string>> strings_;  // a deque: places stay
};

// One of every storable fixed-width dtype, strings, a scalar, an empty tensor, odd names, and large
// ones that span chunks; about 3 MiB.
TensorSet MakeRichState(std::uint64_t seed);
// A few small tensors; content depends on `step` only.
TensorSet MakeSmallState(int step);

}  // namespace waypost
