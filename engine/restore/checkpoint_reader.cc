#include "waypost/checkpoint_reader.h"

#include <fmt/format.h>

#include <mutex>

#include "device/device_registry.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_loader.h"
#include "restore/tensor_restorer.h"

namespace waypost {
namespace {

// Two windows are enough to read one while the other is consumed.
constexpr std::size_t kReaderWindows = 2;

DeviceRegistry HostOnly() {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(MakeHostDevice());
  return DeviceRegistry(std::move(devices));
}

CheckpointReader::TensorInfo InfoOf(const StoredTensor& tensor) {
  CheckpointReader::TensorInfo info = {.name = tensor.name,
                                       .dtype = tensor.dtype,
                                       .shape = tensor.shape,
                                       .is_sliced = tensor.is_sliced,
                                       .extents = {}};
  for (const StoredExtent& extent : tensor.extents) {
    info.extents.push_back(
        {extent.slice, extent.shard, extent.offset, extent.size_bytes, extent.crc32c});
  }
  return info;
}

}  // namespace

class CheckpointReader::Impl {
 public:
  explicit Impl(const std::string& prefix)
      : bundle(PosixFileSystem(), prefix), devices(HostOnly()) {}

  void Read(const NamedTensor& target) {
    const std::scoped_lock lock(mutex);
    if (!pool) {
      pool.emplace(kReaderWindows);
      loader.emplace(PosixFileSystem(), *pool);
    }
    RestoreTensors(bundle, *loader, devices, std::span(&target, 1), nullptr,
                   fmt::format("read {}", bundle.prefix()));
  }

  BundleReader bundle;
  DeviceRegistry devices;
  std::mutex mutex;  // readers may be shared between threads
  // Made by the first Read.  Guarded by mutex.
  std::optional<BufferPool> pool;
  std::optional<TensorLoader> loader;
};

CheckpointReader::CheckpointReader(const std::string& prefix)
    : impl_(std::make_unique<Impl>(prefix)) {}
CheckpointReader::~CheckpointReader() = default;
CheckpointReader::CheckpointReader(CheckpointReader&&) noexcept = default;
CheckpointReader& CheckpointReader::operator=(CheckpointReader&&) noexcept = default;

int CheckpointReader::shard_count() const noexcept {
  return impl_->bundle.index().header().shard_count;
}

std::vector<CheckpointReader::TensorInfo> CheckpointReader::List() const {
  std::vector<TensorInfo> list;
  list.reserve(impl_->bundle.index().tensors().size());
  for (const StoredTensor& tensor : impl_->bundle.index().tensors()) list.push_back(InfoOf(tensor));
  return list;
}

std::optional<CheckpointReader::TensorInfo> CheckpointReader::Find(std::string_view name) const {
  const StoredTensor* const tensor = impl_->bundle.index().Find(name);
  if (tensor == nullptr) return std::nullopt;
  return InfoOf(*tensor);
}

void CheckpointReader::Read(std::string_view name, const TensorView& target) const {
  impl_->Read({.name = std::string(name), .tensor = target});
}

void CheckpointReader::ReadSlice(std::string_view name, const TensorSlice& slice,
                                 const TensorView& target) const {
  const StoredTensor* const tensor = impl_->bundle.index().Find(name);
  impl_->Read({.name = std::string(name),
               .tensor = target,
               .full_shape = tensor == nullptr ? Shape{} : tensor->shape,
               .slice = slice});
}

}  // namespace waypost
