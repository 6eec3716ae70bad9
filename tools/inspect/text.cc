#include "inspect/text.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <cmath>

#include "base/bytes.h"
#include "wire/utf8.h"

namespace waypost::tool {
namespace {

const unsigned char* Unsigned(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string JsonText(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t size = Utf8SequenceBytes(bytes);
    if (size == 0) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
      bytes.remove_prefix(1);
    } else {
      text += bytes.substr(0, size);
      bytes.remove_prefix(size);
    }
  }
  return text;
}

std::string JsonLine(const Json& json) {
  constexpr int kNoIndent = -1;
  return json.dump(kNoIndent, ' ', /*ensure_ascii=*/true) + "\n";
}

Json JsonNumber(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

std::string EncodeBase64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the zero that OpenSSL appends
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), Unsigned(bytes),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), Unsigned(text),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  const std::size_t padding = text.size() - std::min(text.size(), text.find_last_not_of('=') + 1);
  if (padding > 2) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  // OpenSSL skips blanks and takes stray bits; only what it would write itself is taken here.
  if (EncodeBase64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace waypost::tool
