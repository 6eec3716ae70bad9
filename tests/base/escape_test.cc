// Printable keeps what a terminal may show, and spells out everything else.
#include "base/escape.h"

#include <gtest/gtest.h>

namespace waypost {
namespace {

TEST(Printable, KeepsTextAndUtf8) {
  EXPECT_EQ(Printable("layer/kernel:0 déjà 漢 🙂"), "layer/kernel:0 déjà 漢 🙂");
}

TEST(Printable, SpellsOutControlCharacters) {
  EXPECT_EQ(Printable(std::string_view("a\0b\n\t\r\x1b[2J\x7f\\", 13)),
            "a\\x00b\\n\\t\\r\\x1b[2J\\x7f\\\\");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\xc2\\x9b") << "U+009B begins a terminal's command as well";
}

TEST(Printable, SpellsOutBytesThatAreNoUtf8) {
  EXPECT_EQ(Printable("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
}

}  // namespace
}  // namespace waypost
