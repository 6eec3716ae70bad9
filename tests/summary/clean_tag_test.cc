// CleanTag against what TensorFlow made of the same names (docs/format.md, "Tags").
#include "summary/clean_tag.h"

#include <gtest/gtest.h>

namespace waypost {
namespace {

TEST(CleanTag, KeepsWhatTensorBoardTakes) {
  EXPECT_EQ(CleanTag("loss"), "loss");
  EXPECT_EQ(CleanTag("a-b/c.d_9Z"), "a-b/c.d_9Z");
  EXPECT_EQ(CleanTag(""), "");
}

TEST(CleanTag, ReplacesEveryOtherCharacter) {
  EXPECT_EQ(CleanTag("a b"), "a_b");
  EXPECT_EQ(CleanTag("a:0"), "a_0");
  EXPECT_EQ(CleanTag(" [%] "), "_____");
  EXPECT_EQ(CleanTag("a\xE2\x82\xAC"), "a_") << "the euro sign is one character";
}

TEST(CleanTag, DropsSlashesAtTheFront) {
  EXPECT_EQ(CleanTag("//x/y"), "x/y");
  EXPECT_EQ(CleanTag("///"), "");
}

TEST(CleanTag, LeavesForeignLettersForTheNameCheckToRefuse) {
  EXPECT_EQ(CleanTag("\xC3\xA9"), "\xC3\xA9");          // é
  EXPECT_EQ(CleanTag("\xE6\x97\xA5"), "\xE6\x97\xA5");  // 日
  EXPECT_EQ(CleanTag("a\xFF"), "a\xFF") << "no UTF-8 at all";
}

}  // namespace
}  // namespace waypost
