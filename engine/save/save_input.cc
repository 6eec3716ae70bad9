#include "save/save_input.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace waypost {
namespace {

bool IsString(const NamedTensor& tensor) { return tensor.tensor.dtype() == DType::kString; }

bool SameTensor(const NamedTensor& a, const NamedTensor& b) {
  return a.name == b.name && a.tensor.data() == b.tensor.data() &&
         a.tensor.dtype() == b.tensor.dtype() && a.tensor.shape() == b.tensor.shape() &&
         a.full_shape == b.full_shape && a.slice == b.slice && a.device == b.device;
}

}  // namespace

TensorList::TensorList(std::span<const NamedTensor> named) : tensors(named.begin(), named.end()) {
  ValidateTensors(tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!IsString(tensors[i]) && tensors[i].tensor.size_bytes() < kCopiedTensorBytes) {
      small.push_back(i);
    }
  }
  const auto size_of = [&](std::size_t i) { return tensors[i].tensor.size_bytes(); };
  std::stable_sort(small.begin(), small.end(),
                   [&](std::size_t a, std::size_t b) { return size_of(a) < size_of(b); });
  std::uint64_t total = 0;
  const auto end = std::find_if(small.begin(), small.end(), [&](std::size_t i) {
    total += size_of(i);
    return total > kCopiedBytesMax;
  });
  small.erase(end, small.end());
  small.shrink_to_fit();
}

bool TensorList::Equals(std::span<const NamedTensor> named) const {
  return std::equal(tensors.begin(), tensors.end(), named.begin(), named.end(), SameTensor);
}

SaveInput::SaveInput(std::shared_ptr<const TensorList> list, const DeviceRegistry& devices)
    : list_(std::move(list)) {
  const std::vector<NamedTensor>& tensors = list_->tensors;
  sources_.reserve(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& view = tensors[i].tensor;
    if (!IsString(tensors[i])) {
      sources_.push_back({.bytes = static_cast<const std::byte*>(view.data()),
                          .size_bytes = view.size_bytes(),
                          .device = &devices.OwnerOf(view.data()),
                          .is_borrowed = view.size_bytes() > 0});
      continue;
    }
    const auto* elements = static_cast<const std::string*>(view.data());
    const EncodedStrings& encoded =
        strings_
            .try_emplace(i, EncodeStrings(std::span(
                                elements, static_cast<std::size_t>(view.element_count()))))
            .first->second;
    sources_.push_back({.bytes = reinterpret_cast<const std::byte*>(encoded.bytes.data()),
                        .size_bytes = encoded.bytes.size(),
                        .device = &devices.host(),
                        .is_borrowed = false});
  }
  std::vector<std::size_t> copied = list_->small;
  std::erase_if(copied, [&](std::size_t i) { return !sources_[i].device->IsHostMemory(); });
  copies_.resize(std::accumulate(
      copied.begin(), copied.end(), std::size_t{0},
      [&](std::size_t sum, std::size_t i) { return sum + sources_[i].size_bytes; }));
  std::byte* next = copies_.data();
  for (const std::size_t i : copied) {
    SaveSource& source = sources_[i];
    if (source.size_bytes > 0) std::memcpy(next, source.bytes, source.size_bytes);
    source.bytes = next;
    source.is_borrowed = false;
    next += source.size_bytes;
  }
}

std::vector<Device*> SaveInput::Devices() const {
  std::vector<Device*> devices;
  devices.reserve(sources_.size());
  for (const SaveSource& source : sources_) devices.push_back(source.device);
  return devices;
}

void SaveInput::ReadFrom(std::size_t tensor, const std::byte* copy) {
  sources_[tensor].bytes = copy;
  sources_[tensor].is_borrowed = false;
}

bool SaveInput::HasBorrowed() const {
  return std::ranges::any_of(sources_, &SaveSource::is_borrowed);
}

const EncodedStrings* SaveInput::StringsOf(std::size_t tensor) const {
  const auto found = strings_.find(tensor);
  return found == strings_.end() ? nullptr : &found->second;
}

std::vector<PlannedTensor> SaveInput::Describe() const {
  std::vector<PlannedTensor> planned;
  planned.reserve(sources_.size());
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const NamedTensor& tensor = list_->tensors[i];
    // Shared bytes are found by the caller's addresses, also where they were copied.
    planned.push_back({.name = tensor.name,
                       .device = tensor.device,
                       .source = IsString(tensor) ? nullptr : tensor.tensor.data(),
                       .size_bytes = sources_[i].size_bytes});
  }
  return planned;
}

}  // namespace waypost
