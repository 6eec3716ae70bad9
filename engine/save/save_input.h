// SaveInput: the tensors of one save, as its threads read them after SaveAsync has returned.
//
// The list of tensors is copied once and shared by the saves that have the same one; bytes are
// borrowed, except those that SaveAsync copies: strings (encoded as they stand in the file), and
// the smallest host tensors up to kCopiedBytesMax in all, so that a step counter may change at
// once.
//
// Threads: immutable once DeviceCopies has started.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "device/device_registry.h"
#include "format/string_tensor.h"
#include "save/save_planner.h"
#include "waypost/engine.h"

namespace waypost {

// Host tensors below the first are copied, smallest first, as far as the second allows.
inline constexpr std::uint64_t kCopiedTensorBytes = kLargeTensorBytes;
inline constexpr std::uint64_t kCopiedBytesMax = kMiB;

// A validated list of tensors.
struct TensorList {
  // Throws what ValidateTensors throws.
  explicit TensorList(std::span<const NamedTensor> named);

  bool Equals(std::span<const NamedTensor> named) const;

  std::vector<NamedTensor> tensors;
  // Positions of what SaveAsync copies if it is on the host, without the strings.
  std::vector<std::size_t> small;
};

// The bytes of one tensor in the data file.
struct SaveSource {
  const std::byte* bytes = nullptr;
  std::uint64_t size_bytes = 0;
  Device* device = nullptr;
  bool is_borrowed = true;  // false: the save's own copy, or no bytes
};

class SaveInput {
 public:
  // Copies what is to be copied.
  SaveInput(std::shared_ptr<const TensorList> list, const DeviceRegistry& devices);
  SaveInput(const SaveInput&) = delete;
  SaveInput& operator=(const SaveInput&) = delete;

  const std::shared_ptr<const TensorList>& list() const noexcept { return list_; }
  std::span<const NamedTensor> tensors() const noexcept { return list_->tensors; }
  std::span<const SaveSource> sources() const noexcept { return sources_; }
  // The owner of each tensor's bytes.
  std::vector<Device*> Devices() const;
  // From now on the save reads a copy of its own for this tensor, of the same size and device.
  void ReadFrom(std::size_t tensor, const std::byte* copy);
  // Whether a tensor must not change as long as it is not staged.
  bool HasBorrowed() const;
  // nullptr for a tensor that holds no strings.
  const EncodedStrings* StringsOf(std::size_t tensor) const;
  // What the planner needs; it points into this object.
  std::vector<PlannedTensor> Describe() const;

 private:
  std::shared_ptr<const TensorList> list_;
  std::unordered_map<std::size_t, EncodedStrings> strings_;  // by tensor
  std::vector<std::byte> copies_;
  std::vector<SaveSource> sources_;  // by tensor
};

}  // namespace waypost
