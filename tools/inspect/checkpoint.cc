#include "inspect/checkpoint.h"

#include "restore/tensor_stream.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

// Two windows in flight while two are looked at.
constexpr std::size_t kWindows = 4;

}  // namespace

Checkpoint::Checkpoint(const std::string& prefix)
    : reader_(PosixFileSystem(), prefix), pool_(kWindows), loader_(PosixFileSystem(), pool_) {}

std::uint64_t Checkpoint::size_bytes() const noexcept {
  std::uint64_t size_bytes = 0;
  for (const StoredTensor& tensor : tensors()) size_bytes += StoredBytes(tensor);
  return size_bytes;
}

void Checkpoint::Stream(const StoredTensor& tensor, const Sink& sink) {
  RequireFiles(tensor);
  StreamTensor(reader_, loader_, tensor, [&](std::span<const std::byte> bytes) {
    Advance(bytes.size());
    sink(bytes);
  });
}

std::vector<std::string> Checkpoint::Strings(const StoredTensor& tensor) {
  RequireFiles(tensor);
  std::vector<std::string> strings = ReadStrings(reader_, loader_, tensor);
  Advance(StoredBytes(tensor));
  return strings;
}

void Checkpoint::Advance(std::uint64_t bytes) {
  if (progress_ != nullptr) progress_->Advance(bytes);
}

// Before memory is taken for what an index only says.
void Checkpoint::RequireFiles(const StoredTensor& tensor) const {
  for (const StoredExtent& extent : tensor.extents) {
    try {
      RequirePresent(reader_, WholeExtent(tensor, extent));
    } catch (const Error& error) {
      throw Error(Code::kDataLoss, error.what());
    }
  }
}

std::uint64_t StoredBytes(const StoredTensor& tensor) noexcept {
  std::uint64_t size_bytes = 0;
  for (const StoredExtent& extent : tensor.extents) size_bytes += extent.size_bytes;
  return size_bytes;
}

std::byte ValueMask(DType dtype) noexcept {
  switch (dtype) {
    case DType::kInt4:
    case DType::kUInt4:
    case DType::kFloat4E2M1FN: return std::byte{0x0F};
    case DType::kInt2:
    case DType::kUInt2: return std::byte{0x03};
    default: return std::byte{0xFF};
  }
}

}  // namespace waypost::tool
