// Names in JSON keep their bytes in sight, base64 is strict, and one line stays one line.
#include "inspect/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "inspect/terminal.h"
#include "support/seed.h"

namespace waypost::tool {
namespace {

TEST(JsonText, KeepsUtf8AndSpellsOutOtherBytes) {
  EXPECT_EQ(JsonText("a\\b\n\xC3\xA9"), "a\\b\n\xC3\xA9");
  EXPECT_EQ(JsonText("\xFF|\xC3"), "\\xff|\\xc3");
}

TEST(JsonLine, HoldsNothingThatSteersATerminal) {
  const std::string line = JsonLine({{"name", "\x1b[31m\xC2\x9B\x7F\n"}, {"value", 1}});
  EXPECT_EQ(line, "{\"name\":\"\\u001b[31m\\u009b\\u007f\\n\",\"value\":1}\n");
}

TEST(JsonNumber, NamesWhatJsonHasNoNumberFor) {
  EXPECT_EQ(JsonNumber(0.5), 0.5);
  EXPECT_EQ(JsonNumber(std::nan("")), "nan");
  EXPECT_EQ(JsonNumber(HUGE_VAL), "inf");
  EXPECT_EQ(JsonNumber(-HUGE_VAL), "-inf");
}

TEST(OneLine, EscapesControlBytesOnly) {
  EXPECT_EQ(OneLine("dir/a\\x1b: b\nc\x1b\xFF"), "dir/a\\x1b: b\\nc\\x1b\\xff");
  EXPECT_EQ(OneLine(""), "");
  EXPECT_EQ(OneLine("\\"), "\\");
}

TEST(ProgressText, HasABarTheRateAndTheTimeLeft) {
  constexpr std::uint64_t kMebibyte = 1 << 20;
  EXPECT_EQ(ProgressText(300 * kMebibyte, 400 * kMebibyte, 1.5),
            "[######################........]  75 %, 300 MiB of 400 MiB, 200 MiB/s, 1 s left");
  EXPECT_EQ(ProgressText(0, 400 * kMebibyte, 1.5),
            "[..............................]   0 %, 0 bytes of 400 MiB, 0 bytes/s");
  EXPECT_EQ(ProgressText(kMebibyte, kMebibyte, 2),
            "[##############################] 100 %, 1 MiB of 1 MiB, 512 KiB/s, 0 s left");
  // More than was said, and nothing at all.
  EXPECT_EQ(ProgressText(2 * kMebibyte, kMebibyte, 2),
            "[##############################] 100 %, 1 MiB of 1 MiB, 1 MiB/s, 0 s left");
  EXPECT_EQ(ProgressText(0, 0, 0),
            "[##############################] 100 %, 0 bytes of 0 bytes, 0 bytes/s");
}

TEST(Base64, RoundTripsAnyBytes) {
  EXPECT_EQ(EncodeBase64(""), "");
  EXPECT_EQ(EncodeBase64("f"), "Zg==");
  EXPECT_EQ(EncodeBase64("foobar"), "Zm9vYmFy");
  std::mt19937_64 random(TestSeed());
  for (std::size_t size = 0; size < 100; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
  }
}

TEST(Base64, RefusesWhatItWouldNotWrite) {
  for (const char* text :
       {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Z===", "====", "Zm9v\n", " Zm9v", "Zm9*", "Zg==Zg=="}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace waypost::tool
