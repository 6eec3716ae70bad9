// A checkpoint opened for reading its tensors one after the other, through a few windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "inspect/terminal.h"
#include "memory/buffer_pool.h"
#include "restore/stored_checkpoint.h"
#include "restore/tensor_loader.h"

namespace waypost::tool {

// Threads: one at a time.  Errors: Error; a data file that is missing is kDataLoss here, since the
// checkpoint itself is there.
class Checkpoint {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  explicit Checkpoint(const std::string& prefix);

  const StoredCheckpoint& reader() const noexcept { return *reader_; }
  TensorLoader& loader() noexcept { return loader_; }
  const std::vector<TensorIndex::TensorReference>& tensors() const {
    return reader_->index().tensors();
  }
  // Is told of every byte that Stream and Strings read; must outlive their calls.
  void set_progress(Progress& progress) noexcept { progress_ = &progress; }
  // Bytes of all stored extents; of V1's strings none.
  std::uint64_t size_bytes() const;

  // As StreamTensor and ReadStrings (restore/tensor_stream.h).
  void Stream(const StoredTensor& tensor, const Sink& sink);
  std::vector<std::string> Strings(const StoredTensor& tensor);

 private:
  void RequireFiles(const StoredTensor& tensor) const;

  void Advance(std::uint64_t bytes);

  std::unique_ptr<StoredCheckpoint> reader_;
  BufferPool pool_;
  TensorLoader loader_;
  Progress* progress_ = nullptr;
};

// Bytes of all stored extents of a tensor.
std::uint64_t StoredBytes(const StoredTensor& tensor) noexcept;

// The bits of each byte that belong to the value: the types below a byte leave the others
// undefined.
std::byte ValueMask(DType dtype) noexcept;

}  // namespace waypost::tool
