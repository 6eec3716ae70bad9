// TensorPipe reads a tensor on a thread of its own, so that two tensors can be walked side by side
// in bounded memory.
#pragma once

#include <cstddef>
#include <exception>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "inspect/checkpoint.h"

namespace waypost::tool {

// Threads:  Next() is for one thread; the checkpoint belongs to the pipe's thread until
// destruction. Lifetime: checkpoint and tensor are borrowed.
class TensorPipe {
 public:
  TensorPipe(Checkpoint& checkpoint, const StoredTensor& tensor);

  // The tensor's next bytes, good until the next call; empty at the end, when all is verified.
  // Throws what the reading threw.
  std::span<const std::byte> Next();

 private:
  void Read(const std::stop_token& stop, Checkpoint& checkpoint,
            const StoredTensor& tensor) noexcept;

  BoundedQueue<std::vector<std::byte>> pieces_;
  std::vector<std::byte> current_;
  std::exception_ptr error_;  // set before the queue is closed
  std::jthread thread_;
};

}  // namespace waypost::tool
