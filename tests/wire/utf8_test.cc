// Utf8SequenceBytes accepts exactly what AppendUtf8 writes: every scalar value, and no other bytes.
#include "wire/utf8.h"

#include <gtest/gtest.h>

namespace waypost {
namespace {

TEST(Utf8, AcceptsEveryScalarValueAndNoCutOne) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF;
       code_point += code_point < 0x3000 ? 1 : 13) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    std::string text;
    AppendUtf8(text, code_point);
    ASSERT_EQ(Utf8SequenceBytes(text + "x"), text.size()) << static_cast<std::uint32_t>(code_point);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      ASSERT_EQ(Utf8SequenceBytes(std::string_view(text).substr(0, cut)), 0U);
      ASSERT_EQ(Utf8SequenceBytes(std::string_view(text).substr(cut)), 0U);
    }
  }
}

TEST(Utf8, RefusesWhatIsNotWellFormed) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "\x80"sv, "\xBF"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x9F\xBF"sv, "\xED\xA0\x80"sv,
        "\xED\xBF\xBF"sv, "\xF0\x8F\xBF\xBF"sv, "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv,
        "\xFF"sv, "\xC3("sv, "\xE2\x82("sv, "\xF0\x9F\x98("sv}) {
    EXPECT_EQ(Utf8SequenceBytes(text), 0U);
    EXPECT_EQ(IsUtf8(std::string("x\xC3\xA9") += text), text.empty());
  }
}

}  // namespace
}  // namespace waypost
