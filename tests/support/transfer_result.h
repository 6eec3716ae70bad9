// TransferResult: the client of a single transfer, which keeps how it ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include "io/io_ring.h"

namespace waypost {

class TransferResult final : public IoRing::Client {
 public:
  void OnTransferDone(std::uint64_t /*tag*/, std::size_t done, int error) noexcept override {
    size = done;
    errno_value = error;
  }
  std::size_t size = 0;
  int errno_value = -1;
};

}  // namespace waypost
