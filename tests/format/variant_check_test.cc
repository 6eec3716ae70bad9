// CheckVariants takes what is built here after docs/format.md, and refuses it with any one byte
// changed.
#include "format/variant_check.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "support/expect_error.h"

namespace waypost {
namespace {

struct Encoded {
  std::string bytes;
  std::uint32_t crc32c = 0;
};

Encoded Encode(const std::vector<std::string>& messages) {
  Encoded encoded;
  for (const std::string& message : messages) {
    AppendVarint(encoded.bytes, message.size());
    encoded.bytes += message;
    std::string counted;
    AppendFixed<std::uint64_t>(counted, message.size());
    counted += message;
    encoded.crc32c = ExtendCrc32c(encoded.crc32c, AsBytes(counted));
    std::string checksum;
    AppendFixed(checksum, MaskCrc32c(encoded.crc32c));
    encoded.bytes += checksum;
    encoded.crc32c = ExtendCrc32c(encoded.crc32c, AsBytes(checksum));
  }
  return encoded;
}

TEST(CheckVariants, TakesWhatIsWhole) {
  for (const std::vector<std::string>& messages :
       {std::vector<std::string>{}, {""}, {"one", "", std::string(300, 'x')}}) {
    const Encoded encoded = Encode(messages);
    EXPECT_NO_THROW(CheckVariants(AsBytes(encoded.bytes), messages.size(), encoded.crc32c, "file"));
  }
}

TEST(CheckVariants, RefusesEveryChangedByteAndEveryCut) {
  const Encoded encoded = Encode({"one", "two"});
  const auto check = [&](const std::string& bytes, std::uint64_t count, std::uint32_t crc32c) {
    return CodeOf([&] { CheckVariants(AsBytes(bytes), count, crc32c, "file"); });
  };
  for (std::size_t i = 0; i < encoded.bytes.size(); ++i) {
    std::string changed = encoded.bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x04);
    EXPECT_EQ(check(changed, 2, encoded.crc32c), Code::kDataLoss) << i;
    EXPECT_EQ(check(encoded.bytes.substr(0, i), 2, encoded.crc32c), Code::kDataLoss) << i;
  }
  EXPECT_EQ(check(encoded.bytes, 1, encoded.crc32c), Code::kDataLoss) << "bytes are left";
  EXPECT_EQ(check(encoded.bytes, 3, encoded.crc32c), Code::kDataLoss);
  EXPECT_EQ(check(encoded.bytes, 2, encoded.crc32c ^ 1), Code::kDataLoss);
}

}  // namespace
}  // namespace waypost
