#include "inspect/checkpoint.h"

#include <fmt/format.h>

#include <string_view>

#include "format/bundle_names.h"
#include "restore/open_checkpoint.h"
#include "restore/tensor_stream.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

// Two windows in flight while two are looked at.
constexpr std::size_t kWindows = 4;

// What is meant where something else than a checkpoint's prefix is named; "" where nobody knows.
std::string HintFor(const std::string& path) {
  const auto stat = PosixFileSystem().Stat(path);
  if (stat && stat->is_directory) {
    return fmt::format("it is a directory; `waypost latest {}` tells its newest checkpoint", path);
  }
  for (const std::string_view end : {".safetensors", ".safetensors.index.json"}) {
    if (path.ends_with(end))
      return "it is of safetensors; `waypost convert` makes a checkpoint of it";
  }
  for (const std::string_view end : {".index", ".meta"}) {
    if (!path.ends_with(end)) continue;
    return fmt::format("the checkpoint's name is without {}", end);
  }
  if (ParseDataName(BaseName(path))) return "the checkpoint's name is what stands before .data-";
  return {};
}

std::unique_ptr<StoredCheckpoint> Open(const std::string& prefix) {
  try {
    return OpenCheckpoint(PosixFileSystem(), prefix);
  } catch (const Error& error) {
    // What has an index is a checkpoint, whatever is wrong with it.
    const bool is_other = error.code() == Code::kNotFound || error.code() == Code::kDataLoss;
    if (!is_other || PosixFileSystem().Stat(IndexPath(prefix))) throw;
    const std::string hint = HintFor(prefix);
    if (hint.empty()) throw;
    throw Error(Code::kInvalidArgument, fmt::format("open {}: {}", prefix, hint));
  }
}

}  // namespace

Checkpoint::Checkpoint(const std::string& prefix)
    : reader_(Open(prefix)), pool_(kWindows), loader_(PosixFileSystem(), pool_) {}

std::uint64_t Checkpoint::size_bytes() const {
  std::uint64_t size_bytes = 0;
  for (const StoredTensor& tensor : tensors()) size_bytes += StoredBytes(tensor);
  return size_bytes;
}

void Checkpoint::Stream(const StoredTensor& tensor, const Sink& sink) {
  RequireFiles(tensor);
  StreamTensor(*reader_, loader_, tensor, [&](std::span<const std::byte> bytes) {
    Advance(bytes.size());
    sink(bytes);
  });
}

std::vector<std::string> Checkpoint::Strings(const StoredTensor& tensor) {
  RequireFiles(tensor);
  std::vector<std::string> strings = ReadStrings(*reader_, loader_, tensor);
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
      RequirePresent(*reader_, WholeExtent(tensor, extent));
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
