// Names of a checkpoint's files: spelled as TensorFlow's, read back exactly, near misses refused.
#include "format/bundle_names.h"

#include <gtest/gtest.h>

namespace waypost {
namespace {

TEST(BundleNames, AreTensorFlows) {
  EXPECT_EQ(IndexPath("dir/m.ckpt-7"), "dir/m.ckpt-7.index");
  EXPECT_EQ(DataPath("dir/m.ckpt-7", 0, 1), "dir/m.ckpt-7.data-00000-of-00001");
  EXPECT_EQ(DataPath("m", 123456, 1234567), "m.data-123456-of-1234567");
}

TEST(BundleNames, StripTheShardSuffixFromAMetaGraphsName) {
  EXPECT_EQ(MetaGraphPath("d/m.ckpt-7"), "d/m.ckpt-7.meta");
  EXPECT_EQ(MetaGraphPath("d/m.ckpt-7", "meta2"), "d/m.ckpt-7.meta2");
  EXPECT_EQ(MetaGraphPath("m-7-00001-of-00002"), "m-7.meta");
  EXPECT_EQ(MetaGraphPath(std::string("m-7-") + "?????" + "-of-00002"), "m-7.meta");
  EXPECT_EQ(MetaGraphPath("-0-of-1"), ".meta");
  for (const std::string prefix :
       {"m-of-2", "m--of-2", "m-1-of-", "m1-of-2", "m-1x-of-2", "m-1-of-2x", "1-of-2"}) {
    EXPECT_EQ(MetaGraphPath(prefix), prefix + ".meta");
  }
}

TEST(BundleNames, ReadDataNamesBack) {
  const struct {
    std::string prefix;
    int shard;
    int shard_count;
  } names[] = {
      {"dir/m", 0, 1}, {"m.data-00000-of-00001", 3, 4}, {"", 0, 99999}, {"m\n", 100000, 100001}};
  for (const auto& [prefix, shard, shard_count] : names) {
    const auto parsed = ParseDataName(DataPath(prefix, shard, shard_count));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->prefix, prefix);
    EXPECT_EQ(parsed->shard, shard);
    EXPECT_EQ(parsed->shard_count, shard_count);
  }
}

TEST(BundleNames, RefuseWhatIsNearlyADataName) {
  for (const std::string name : {"",
                                 "m",
                                 "m.index",
                                 "m.data-0000-of-00001",
                                 "m.data-00000-of-0001",
                                 "m.data-000000-of-00001",
                                 "m.data-00000-of-000001",
                                 "m.data-00001-of-00001",
                                 "m.data-00000-of-00000",
                                 "m.data-00000-of-00001 ",
                                 "m.data-00000-of-00001.tmp",
                                 "m.data_00000-of-00001",
                                 "m.data--0000-of-00001",
                                 "mdata-00000-of-00001",
                                 "m.data-00000-of-99999999999",
                                 "m.data-99999999999-of-00001",
                                 "m.data-00000of-00001",
                                 "00000",
                                 "-of-00001",
                                 "m.data-00000-of-00001.waypost-0000000000000001.tmp"}) {
    EXPECT_FALSE(ParseDataName(name)) << name;
  }
}

TEST(BundleNames, ReadTemporaryAndLockNamesBack) {
  const std::uint64_t save_id = 0x00ab12cd34ef5601;
  EXPECT_EQ(SaveIdText(save_id), "00ab12cd34ef5601");
  const std::string temporary = TemporaryPath("d/m.index", save_id);
  EXPECT_EQ(temporary, "d/m.index.waypost-00ab12cd34ef5601.tmp");
  ASSERT_TRUE(ParseTemporaryName(temporary));
  EXPECT_EQ(ParseTemporaryName(temporary)->path, "d/m.index");
  EXPECT_EQ(ParseTemporaryName(temporary)->save_id, save_id);
  const std::string lock = LockPath("d/m", save_id);
  EXPECT_EQ(lock, "d/m.waypost-00ab12cd34ef5601.lock");
  ASSERT_TRUE(ParseLockName(lock));
  EXPECT_EQ(ParseLockName(lock)->prefix, "d/m");
  EXPECT_EQ(ParseLockName(lock)->save_id, save_id);
  // A temporary file of a file with such a name itself.
  EXPECT_EQ(ParseTemporaryName(TemporaryPath(temporary, 5))->path, temporary);
}

TEST(BundleNames, RefuseWhatIsNearlyATemporaryOrLockName) {
  for (const std::string stem :
       {"m.waypost-00ab12cd34ef560", "m.waypost-000ab12cd34ef5601", "m.waypost-00AB12CD34EF5601",
        "m.waypost-00ab12cd34ef560g", "m.waypost-+0ab12cd34ef5601", "m.waypost-0x00ab12cd34ef56",
        "mwaypost-00ab12cd34ef5601", "m.waypost_00ab12cd34ef5601", "m.Waypost-00ab12cd34ef5601",
        "m", ""}) {
    EXPECT_FALSE(ParseTemporaryName(stem + ".tmp")) << stem;
    EXPECT_FALSE(ParseLockName(stem + ".lock")) << stem;
  }
  EXPECT_FALSE(ParseTemporaryName("m.waypost-00ab12cd34ef5601"));
  EXPECT_FALSE(ParseTemporaryName("m.waypost-00ab12cd34ef5601.lock"));
  EXPECT_FALSE(ParseLockName("m.waypost-00ab12cd34ef5601.tmp"));
  EXPECT_FALSE(ParseLockName("m.waypost-00ab12cd34ef5601.lock2"));
}

}  // namespace
}  // namespace waypost
