#include "inspect/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/bytes.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    Require(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }

  void Update(std::span<const std::byte> bytes) {
    Require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }

  std::string FinishHex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    Require(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    std::string hex;
    for (const unsigned char byte : std::span(digest).first(size))
      hex += fmt::format("{:02x}", byte);
    return hex;
  }

 private:
  static void Require(bool succeeded) {
    if (!succeeded) throw Error(Code::kInternal, "SHA-256: libcrypto refuses");
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void AddMasked(Sha256& sha, std::span<const std::byte> bytes, std::byte mask) {
  std::vector<std::byte> masked(bytes.begin(), bytes.end());
  for (std::byte& byte : masked) byte &= mask;
  sha.Update(masked);
}

void AddStrings(Sha256& sha, const std::vector<std::string>& strings) {
  for (const std::string& text : strings) {
    std::string length;
    AppendFixed<std::uint64_t>(length, text.size());
    sha.Update(AsBytes(length));
    sha.Update(AsBytes(text));
  }
}

}  // namespace

std::string TensorDigest(Checkpoint& checkpoint, const StoredTensor& tensor) {
  Sha256 sha;
  if (tensor.dtype == DType::kString) {
    AddStrings(sha, checkpoint.Strings(tensor));
    return sha.FinishHex();
  }
  const std::byte mask = ValueMask(tensor.dtype);
  checkpoint.Stream(tensor, [&](std::span<const std::byte> bytes) {
    if (mask == std::byte{0xFF}) {
      sha.Update(bytes);
    } else {
      AddMasked(sha, bytes, mask);
    }
  });
  return sha.FinishHex();
}

}  // namespace waypost::tool
