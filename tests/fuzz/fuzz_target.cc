// A libFuzzer target over one decoder; WAYPOST_FUZZ_DECODER names the function.
#include <cstdint>

#include "fuzz/decoders.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  waypost::WAYPOST_FUZZ_DECODER(std::as_bytes(std::span(data, size)));
  return 0;
}
