// The libFuzzer program of all decoders.  The name that it is called by says which one it is for:
// tools/fuzz.sh gives it a link for each.
#include <algorithm>
#include <cstdint>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "fuzz/decoders.h"

namespace {

void (*decode)(std::span<const std::byte>) = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** argv) {
  const std::string name = std::filesystem::path(**argv).filename();
  const auto& decoders = waypost::Decoders();
  const auto decoder = std::ranges::find(decoders, name, &waypost::Decoder::name);
  WAYPOST_CHECK(decoder != decoders.end());
  decode = decoder->decode;
  waypost::SetLogLevel(waypost::LogLevel::kNothing);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode(std::as_bytes(std::span(data, size)));
  return 0;
}
