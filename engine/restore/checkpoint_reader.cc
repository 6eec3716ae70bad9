#include "waypost/checkpoint_reader.h"

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "base/escape.h"
#include "base/log.h"
#include "base/own_process.h"
#include "device/device_registry.h"
#include "restore/bundle_reader.h"
#include "restore/open_checkpoint.h"
#include "restore/tensor_loader.h"
#include "restore/tensor_mapper.h"
#include "restore/tensor_restorer.h"
#include "restore/tensor_stream.h"

namespace waypost {
namespace {

// Two windows are enough to read one while the other is consumed.
constexpr std::size_t kReaderWindows = 2;

// Cache lines do not straddle two tensors.
constexpr std::align_val_t kCopyAlignment{64};

DeviceRegistry HostOnly() {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(MakeHostDevice());
  return DeviceRegistry(std::move(devices));
}

CheckpointReader::TensorInfo InfoOf(const StoredTensor& tensor, bool is_v1) {
  CheckpointReader::TensorInfo info = {.name = tensor.name,
                                       .dtype = tensor.dtype,
                                       .shape = tensor.shape,
                                       .is_sliced = tensor.is_sliced,
                                       .extents = {}};
  for (const StoredExtent& extent : tensor.extents) {
    info.extents.push_back(
        {extent.slice, extent.shard, is_v1 ? 0 : extent.offset, extent.size_bytes, extent.crc32c});
  }
  return info;
}

}  // namespace

class CheckpointReader::Impl {
 public:
  explicit Impl(const std::string& prefix)
      : checkpoint(OpenCheckpoint(PosixFileSystem(), prefix)), devices(HostOnly()) {
    if (const BundleReader* const bundle = checkpoint->bundle()) mapper.emplace(*bundle);
  }
  ~Impl() {
    Buffers* const last = buffers_.load();
    if (last != nullptr && last->process.IsForked()) return;  // they are the parent's
    delete last;
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Read(const NamedTensor& target) {
    Buffers& own = OwnBuffers();
    const std::scoped_lock lock(own.mutex);
    RestoreTensors(*checkpoint, own.loader, devices, std::span(&target, 1), nullptr,
                   fmt::format("read {}", checkpoint->prefix()));
  }

  const StoredTensor& Mappable(std::string_view name) const {
    const StoredTensor* const tensor = checkpoint->index().Find(name);
    if (tensor == nullptr) {
      throw Error(Code::kNotFound, fmt::format("map {}: tensor {} is not in the checkpoint",
                                               checkpoint->prefix(), Printable(name)));
    }
    if (HasByteChecksum(*tensor)) return *tensor;
    throw Error(Code::kInvalidArgument,
                fmt::format("map {}: tensor {} is of dtype {}, which has no elements of one size",
                            checkpoint->prefix(), Printable(name), DTypeName(tensor->dtype)));
  }

  // The tensor in memory of its own.
  std::shared_ptr<std::byte> ReadCopy(const StoredTensor& tensor) {
    RequireWhole(*checkpoint, tensor);
    const std::size_t size =
        static_cast<std::size_t>(ElementCount(tensor.shape)) * ElementBytes(tensor.dtype);
    try {
      auto* const memory = static_cast<std::byte*>(::operator new(size, kCopyAlignment));
      std::shared_ptr<std::byte> copy(
          memory, [](std::byte* bytes) { ::operator delete(bytes, kCopyAlignment); });
      Read({.name = tensor.name, .tensor = TensorView(memory, tensor.dtype, tensor.shape)});
      return copy;
    } catch (const std::bad_alloc&) {
      throw Error(Code::kResourceExhausted,
                  fmt::format("map {}: no memory for the {} bytes of tensor {}",
                              checkpoint->prefix(), size, Printable(tensor.name)));
    }
  }

  void LogFirstCopy(const StoredTensor& tensor, const std::string& why) {
    if (has_logged_copy.exchange(true)) return;
    LogInfo(fmt::format("map {}: tensor {} is copied into memory: {}", checkpoint->prefix(),
                        Printable(tensor.name), why));
  }

  std::string WhyNotMapped(const StoredTensor& tensor) const {
    return mapper ? mapper->WhyNot(tensor) : "format V1 has no bytes that could be mapped";
  }

  const std::unique_ptr<StoredCheckpoint> checkpoint;
  DeviceRegistry devices;
  std::optional<TensorMapper> mapper;  // of a bundle
  std::atomic<bool> has_logged_copy = false;

 private:
  // What a Read goes through; readers may be shared between threads.
  struct Buffers {
    OwnProcess process;
    std::mutex mutex;
    BufferPool pool{kReaderWindows};
    TensorLoader loader{PosixFileSystem(), pool};  // Guarded by mutex.
  };

  // Made by the process's first Read.  A forked child shares its parent's ring, and a thread of the
  // parent may have held the lock: what it finds it leaves alone.
  Buffers& OwnBuffers() {
    Buffers* found = buffers_.load();
    if (found != nullptr && !found->process.IsForked()) return *found;
    auto made = std::make_unique<Buffers>();
    if (buffers_.compare_exchange_strong(found, made.get())) return *made.release();
    return *found;  // another thread was first
  }

  std::atomic<Buffers*> buffers_ = nullptr;
};

CheckpointReader::CheckpointReader(const std::string& prefix)
    : impl_(std::make_unique<Impl>(prefix)) {}
CheckpointReader::~CheckpointReader() = default;
CheckpointReader::CheckpointReader(CheckpointReader&&) noexcept = default;
CheckpointReader& CheckpointReader::operator=(CheckpointReader&&) noexcept = default;

const std::string& CheckpointReader::prefix() const noexcept { return impl_->checkpoint->prefix(); }

int CheckpointReader::shard_count() const noexcept { return impl_->checkpoint->shard_count(); }

const StoredCheckpoint& CheckpointReader::stored() const noexcept { return *impl_->checkpoint; }

bool CheckpointReader::is_v1() const noexcept { return impl_->checkpoint->v1() != nullptr; }

std::vector<CheckpointReader::TensorInfo> CheckpointReader::List() const {
  const auto& tensors = impl_->checkpoint->index().tensors();
  std::vector<TensorInfo> list;
  list.reserve(tensors.size());
  for (const StoredTensor& tensor : tensors) list.push_back(InfoOf(tensor, is_v1()));
  return list;
}

std::optional<CheckpointReader::TensorInfo> CheckpointReader::Find(std::string_view name) const {
  const StoredTensor* const tensor = impl_->checkpoint->index().Find(name);
  if (tensor == nullptr) return std::nullopt;
  return InfoOf(*tensor, is_v1());
}

void CheckpointReader::Read(std::string_view name, const TensorView& target) const {
  impl_->Read({.name = std::string(name), .tensor = target});
}

void CheckpointReader::ReadSlice(std::string_view name, const TensorSlice& slice,
                                 const TensorView& target) const {
  const StoredTensor* const tensor = impl_->checkpoint->index().Find(name);
  impl_->Read({.name = std::string(name),
               .tensor = target,
               .full_shape = tensor == nullptr ? Shape{} : tensor->shape,
               .slice = slice});
}

MappedTensor CheckpointReader::Map(std::string_view name, const MapOptions& options) const {
  const StoredTensor& tensor = impl_->Mappable(name);
  const std::string why = impl_->WhyNotMapped(tensor);
  // Of no bytes there is nothing to be mapped, only a checksum to be checked.
  if (!why.empty() || ElementCount(tensor.shape) == 0) {
    std::shared_ptr<std::byte> copy = impl_->ReadCopy(tensor);
    if (!why.empty()) impl_->LogFirstCopy(tensor, why);
    ConstTensorView view(copy.get(), tensor.dtype, tensor.shape);
    return {std::move(copy), std::move(view), true};
  }
  TensorMapper::View mapped = impl_->mapper->Map(tensor, options.verify);
  ConstTensorView view(mapped.bytes.data(), tensor.dtype, tensor.shape);
  return {std::move(mapped.file), std::move(view), false};
}

MappedTensor::MappedTensor(MappedTensor&& other) noexcept
    : memory_(std::move(other.memory_)),
      view_(std::exchange(other.view_, {})),
      is_copy_(std::exchange(other.is_copy_, false)) {}

MappedTensor& MappedTensor::operator=(MappedTensor&& other) noexcept {
  MappedTensor taken(std::move(other));
  std::swap(memory_, taken.memory_);
  std::swap(view_, taken.view_);
  std::swap(is_copy_, taken.is_copy_);
  return *this;
}

}  // namespace waypost
