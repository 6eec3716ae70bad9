#include "inspect/tensor_pipe.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/units.h"

namespace waypost::tool {
namespace {

// Bounds the pipe's memory, also where a whole tensor comes at once.
constexpr std::size_t kPiecesMax = 2;
constexpr std::size_t kPieceBytesMax = kWindowBytes;

// Ends a reading whose result nobody waits for any more.
struct Abandoned {};

}  // namespace

TensorPipe::TensorPipe(Checkpoint& checkpoint, const StoredTensor& tensor)
    : pieces_(kPiecesMax), thread_([this, &checkpoint, &tensor](const std::stop_token& stop) {
        Read(stop, checkpoint, tensor);
      }) {}

void TensorPipe::Read(const std::stop_token& stop, Checkpoint& checkpoint,
                      const StoredTensor& tensor) noexcept {
  pthread_setname_np(pthread_self(), "waypost-diff");
  try {
    checkpoint.Stream(tensor, [&](std::span<const std::byte> bytes) {
      while (!bytes.empty()) {
        const auto piece = bytes.first(std::min(bytes.size(), kPieceBytesMax));
        if (!pieces_.Push({piece.begin(), piece.end()}, stop)) throw Abandoned{};
        bytes = bytes.subspan(piece.size());
      }
    });
  } catch (const Abandoned&) {
    return;
  } catch (...) {
    error_ = std::current_exception();
  }
  pieces_.Close();
}

std::span<const std::byte> TensorPipe::Next() {
  std::optional<std::vector<std::byte>> piece = pieces_.Pop();
  if (!piece && error_) std::rethrow_exception(error_);
  current_ = piece ? *std::move(piece) : std::vector<std::byte>{};
  return current_;
}

}  // namespace waypost::tool
