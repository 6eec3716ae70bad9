// What cannot be merged is refused with everything that is wrong in one message, and not a byte or
// name on the disk is changed.
#include <gmock/gmock.h>

#include "save/merge_rig.h"
#include "save/v1_save.h"
#include "support/expect_error.h"
#include "support/golden.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Matcher;

class MergeRefusal : public MergeRig {
 protected:
  void ExpectRefused(const std::vector<std::string>& parts, const std::string& prefix, Code code,
                     const Matcher<const std::string&>& message) {
    const auto before = Everything();
    const auto merge = [&] { MergeCheckpoints(engine_, parts, prefix); };
    EXPECT_EQ(CodeOf(merge), code) << MessageOf(merge);
    EXPECT_THAT(MessageOf(merge), AllOf(message, HasSubstr("merge"), Not(HasSubstr("\n"))));
    EXPECT_EQ(Everything(), before);
  }
  void ExpectRefused(const std::string& part, Code code, const std::string& reason) {
    ExpectRefused({Part(0), part}, prefix_, code, AllOf(HasSubstr(part), HasSubstr(reason)));
  }
  void SaveWhole(const std::string& part, const std::string& name) {
    TensorSet state;
    std::mt19937_64 random(TestSeed());
    state.Add(name, DType::kUInt8, {5000}, random);
    Save(part, state.tensors());
  }
};

TEST_F(MergeRefusal, OfNames) {
  SaveWhole(Part(0), "a");
  ExpectRefused({}, prefix_, Code::kInvalidArgument, HasSubstr("there is no part"));
  ExpectRefused(ckpt_ + "/./m.part-0", Code::kInvalidArgument, "it is named twice");
  ExpectRefused(ckpt_ + "/../ckpt/m", Code::kInvalidArgument, "it is what the parts are merged to");
  ExpectRefused(ckpt_ + "/m-00001-of-00002", Code::kInvalidArgument, "its graph's file would be");
  ExpectRefused(ckpt_ + "/", Code::kInvalidArgument, "the path names no file");
  ExpectRefused({Part(0)}, ckpt_ + "/..", Code::kInvalidArgument,
                HasSubstr("the path names no file"));
  ExpectRefused({Part(0)}, dir_.File("missing/m"), Code::kInvalidArgument,
                HasSubstr("it is not in the directory of"));
  const std::string elsewhere = dir_.File("elsewhere/p");
  SaveWhole(elsewhere, "b");
  ExpectRefused(elsewhere, Code::kInvalidArgument, "it is not in the directory of");
}

TEST_F(MergeRefusal, OfWhatIsNoWholePart) {
  SaveWhole(Part(0), "a");
  ExpectRefused(Part(1), Code::kNotFound, "there is no such checkpoint");

  const DeviceRegistry devices = [] {
    std::vector<std::unique_ptr<Device>> host;
    host.push_back(MakeHostDevice());
    return DeviceRegistry(std::move(host));
  }();
  std::vector<float> values(4);
  const NamedTensor tensor = {.name = "v",
                              .tensor = TensorView(values.data(), DType::kFloat32, {4})};
  SaveV1(PosixFileSystem(), devices, ckpt_ + "/old", std::span(&tensor, 1), {});
  ExpectRefused(ckpt_ + "/old", Code::kInvalidArgument, "it is of the old format V1");

  for (const char* end : {".index", ".data-00000-of-00001"}) {
    std::filesystem::copy_file(GoldenPath(std::string("v2_single/all.ckpt-7") + end),
                               ckpt_ + "/tf" + end);
  }
  ExpectRefused(ckpt_ + "/tf", Code::kInvalidArgument, "it was not written by Waypost");

  SaveWhole(Part(1), "b");
  const std::string data = DataPath(Part(1), 0, 1);
  std::filesystem::resize_file(data, 4096);
  ExpectRefused(Part(1), Code::kDataLoss, "it has 4096 bytes and was written with 8192");
  std::filesystem::remove(data);
  ExpectRefused(Part(1), Code::kDataLoss, "no such data file");
  std::filesystem::create_directory(data);
  ExpectRefused(Part(1), Code::kDataLoss, "no such data file");
  std::filesystem::resize_file(IndexPath(Part(1)), 60);
  ExpectRefused(Part(1), Code::kDataLoss, IndexPath(Part(1)));
}

TEST_F(MergeRefusal, OfALinkOfSomebodyElse) {
  SaveWhole(Part(0), "a");
  SaveWhole(Part(1), "b");
  const std::string data = DataPath(Part(1), 0, 1);
  std::filesystem::rename(data, dir_.File("moved"));
  std::filesystem::create_symlink(dir_.File("moved"), data);
  ExpectRefused(Part(1), Code::kUnimplemented, "that Waypost did not make");
}

TEST_F(MergeRefusal, OfTensorsThatAreInTwoParts) {
  const auto expect_conflict = [&](const std::string& reason) {
    ExpectRefused({Part(0), Part(1)}, prefix_, Code::kInvalidArgument,
                  AllOf(HasSubstr("tensor w: " + reason), HasSubstr(Part(0)), HasSubstr(Part(1))));
  };
  SaveWhole(Part(0), "w");
  SaveWhole(Part(1), "w");
  expect_conflict("it is in part");
  SaveRows(Part(1), "w", 0, 100, {5000});
  expect_conflict("whole in part");
  SaveRows(Part(0), "w", 100, 100, {5000}, DType::kInt8);
  expect_conflict("int8 in part");
  SaveRows(Part(0), "w", 100, 100, {4999});
  expect_conflict("full shape [4999] in part");
  SaveRows(Part(0), "w", 0, 100, {5000});
  expect_conflict("slice 0,100 is in part");
  SaveRows(Part(0), "w", 99, 2, {5000});
  expect_conflict("slice 99,2 of part");
  TensorSet none;
  std::mt19937_64 random(TestSeed());
  none.AddSlice("w", DType::kUInt8, {0, 4}, {{{0, -1}, {0, 2}}}, random);
  for (const std::string& part : Parts(2)) Save(part, none.tensors());
  expect_conflict("slice -:0,2 is in part");
}

TEST_F(MergeRefusal, NamesEveryProblem) {
  SaveWhole(Part(0), "a");
  SaveWhole(Part(1), "a");
  SaveWhole(Part(2), "b");
  SaveWhole(Part(3), "b");
  const std::string elsewhere = dir_.File("elsewhere/p");
  ExpectRefused(
      {Part(0), Part(1), Part(2), Part(3), Part(4), Part(2), elsewhere}, prefix_,
      Code::kInvalidArgument,
      AllOf(HasSubstr("tensor a: it is in part"), HasSubstr("tensor b: it is in part"),
            HasSubstr(Part(4) + ": there is no such checkpoint"), HasSubstr("it is named twice"),
            HasSubstr(elsewhere + ": it is not in the directory")));
}

}  // namespace
}  // namespace waypost
