// A checkpoint that tf.train.Checkpoint wrote (golden/tf2_object), restored by a Saver under the
// names that the variables had; and what is told when names do not match.
#include "manage/object_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "support/test_engine.h"
#include "support/test_paths.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/checkpoint_state.h"
#include "waypost/saver.h"
#include "wire/object_graph.h"

namespace waypost {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ObjectCheckpoint : public ::testing::Test {
 protected:
  std::vector<float> Floats(const Variable& variable) {
    const TensorView view = session_.Value(variable);
    const auto* data = static_cast<const float*>(view.data());
    return {data, data + view.element_count()};
  }
  std::vector<float> Stored(const std::string& key, const Shape& shape) const {
    std::vector<float> values(static_cast<std::size_t>(ElementCount(shape)));
    CheckpointReader(prefix_).Read(key, TensorView(values.data(), DType::kFloat32, shape));
    return values;
  }
  std::int64_t Step() { return *static_cast<const std::int64_t*>(session_.Value(step_).data()); }

  const std::string directory_ = TestDataDir() + "/golden/tf2_object";
  const std::string prefix_ = directory_ + "/ckpt-2";
  Engine engine_ = TestEngine();
  Graph graph_;
  Variable kernel_ = graph_.AddVariable("dense/kernel", {.shape = {3, 2}});
  Variable bias_ = graph_.AddVariable("dense/bias", {.shape = {2}});
  Variable step_ = graph_.AddVariable("step", {.dtype = DType::kInt64, .shape = {}});
  Session session_{engine_, graph_};
};

TEST_F(ObjectCheckpoint, IsRestoredByTheNamesOfItsVariables) {
  session_.Initialize();
  Saver saver(graph_);
  saver.Restore(session_, prefix_);
  EXPECT_EQ(Step(), 43);
  EXPECT_EQ(Floats(kernel_), Stored("model/kernel/.ATTRIBUTES/VARIABLE_VALUE", {3, 2}));
  EXPECT_EQ(Floats(bias_), Stored("model/bias/.ATTRIBUTES/VARIABLE_VALUE", {2}));
  saver.Restore(session_, directory_ + "/ckpt-1");
  EXPECT_EQ(Step(), 42);
}

TEST_F(ObjectCheckpoint, IsFoundAsTheLatest) {
  session_.Initialize();
  Saver saver(graph_);
  EXPECT_EQ(saver.RestoreLatest(session_, directory_).prefix, prefix_);
  EXPECT_EQ(Step(), 43);
}

TEST_F(ObjectCheckpoint, TellsWhatDoesNotMatch) {
  graph_.AddVariable("dense_1/kernel", {.shape = {1}});
  graph_.AddVariable("another", {.shape = {1}});
  session_.Initialize();
  Saver saver(graph_);
  EXPECT_EQ(CodeOf([&] { saver.Restore(session_, prefix_); }), Code::kNotFound);
  EXPECT_THAT(MessageOf([&] { saver.Restore(session_, prefix_); }),
              AllOf(HasSubstr("variables not in it: another, dense_1/kernel;"),
                    HasSubstr("names in it that are not restored: items_0, items_1, odd, "
                              "save_counter;"),
                    HasSubstr("3 names match")));
  EXPECT_EQ(Step(), 0) << "nothing was changed";
}

TEST_F(ObjectCheckpoint, DamageIsToldWithTheVariablesNames) {
  const TempDir dir;
  for (const char* end : {".index", ".data-00000-of-00001"}) {
    std::filesystem::copy_file(prefix_ + end, dir.File(std::string("c") + end));
  }
  std::filesystem::resize_file(dir.File("c.data-00000-of-00001"), 700);
  session_.Initialize();
  Saver saver(graph_, {.var_list = {kernel_, bias_, step_}});
  try {
    saver.Restore(session_, dir.File("c"));
  } catch (const RestoreError& error) {
    for (const auto* names : {&error.assigned(), &error.undefined()}) {
      for (const std::string& name : *names) EXPECT_THAT(name, ::testing::Not(HasSubstr("ATTR")));
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
  }
}

// The newest of a directory's checkpoints cannot be used; an older one of objects, and one of a
// Saver, which has the tensors' own names, are tried in turn.
class OlderThanObjects : public ObjectCheckpoint {
 protected:
  OlderThanObjects() {
    session_.Initialize();
    Saver(graph_).Save(session_, Path("saver"), {.write_state = false});
    for (const char* name : {"ckpt-1", "ckpt-2"}) {
      for (const char* end : {".index", ".data-00000-of-00001"}) {
        std::filesystem::copy_file(directory_ + "/" + name + end, Path(std::string(name) + end));
      }
    }
    UpdateCheckpointState(
        dir_.path(), Path("ckpt-2"),
        {.all_model_checkpoint_paths = {Path("saver"), Path("ckpt-1"), Path("ckpt-2")}});
  }
  std::string Path(const std::string& name) const { return dir_.File(name); }
  void LoseData(const std::string& name) const {
    std::filesystem::remove(Path(name + ".data-00000-of-00001"));
  }
  // A byte of the entry that says how the variables' names are called.
  void DamageObjectGraph(const std::string& name) const {
    const std::uint64_t offset =
        CheckpointReader(Path(name)).Find(kObjectGraphKey)->extents[0].offset;
    std::fstream file(Path(name + ".data-00000-of-00001"),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset + 20)).put('\xff');
  }
  RestoredCheckpoint RestoreLatest() { return Saver(graph_).RestoreLatest(session_, dir_.path()); }

  TempDir dir_;
};

TEST_F(OlderThanObjects, IsRestoredWhereDataIsMissing) {
  LoseData("ckpt-2");
  const RestoredCheckpoint restored = RestoreLatest();
  EXPECT_EQ(restored.prefix, Path("ckpt-1"));
  EXPECT_EQ(restored.skipped.at(0).prefix, Path("ckpt-2"));
  EXPECT_EQ(Step(), 42);
}

TEST_F(OlderThanObjects, IsRestoredWhereTheObjectGraphIsDamaged) {
  DamageObjectGraph("ckpt-2");
  EXPECT_EQ(RestoreLatest().prefix, Path("ckpt-1"));
  EXPECT_EQ(Step(), 42);
}

TEST_F(OlderThanObjects, IsRestoredByItsOwnNames) {
  DamageObjectGraph("ckpt-2");
  LoseData("ckpt-1");
  EXPECT_EQ(RestoreLatest().prefix, Path("saver"));
  EXPECT_EQ(Step(), 0);
}

TEST_F(ObjectCheckpoint, AnotherCheckpointsErrorStaysAsItIs) {
  session_.Initialize();
  Saver saver(graph_);
  const TempDir dir;
  saver.Save(session_, dir.File("m"));
  graph_.AddVariable("new", {.shape = {1}});
  session_.Initialize();
  Saver larger(graph_);
  EXPECT_THAT(MessageOf([&] { larger.Restore(session_, dir.File("m")); }),
              HasSubstr("tensor new is not in the checkpoint"));
}

TEST(ObjectNames, TwoVariablesOfOneKeyAreRefused) {
  float value = 0;
  std::vector<NamedTensor> tensors(2);
  for (NamedTensor& tensor : tensors) tensor.tensor = TensorView(&value, DType::kFloat32, {});
  tensors[0].name = tensors[1].name = "a";  // slices of one variable
  EXPECT_EQ(UnderObjectKeys(tensors, {{"a", "key"}, {"b", "key"}}, "c").size(), 2U);
  tensors[1].name = "b";
  const auto rename = [&] { UnderObjectKeys(tensors, {{"a", "key"}, {"b", "key"}}, "c"); };
  EXPECT_EQ(CodeOf(rename), Code::kDataLoss);
  EXPECT_THAT(MessageOf(rename),
              HasSubstr("restore c: its graph of objects gives variables a and b"));
}

// ---- The message ----

TEST(ObjectGraph, TheLastOfEqualNamesCounts) {
  // nodes {attributes {full_name "v" checkpoint_key "a"}}, the same with "b", one without a name
  const std::string bytes =
      "\x0a\x08\x12\x06\x12\x01v\x1a\x01"
      "a"
      "\x0a\x08\x12\x06\x12\x01v\x1a\x01"
      "b"
      "\x0a\x05\x12\x03\x1a\x01"
      "c";
  const auto keys = DecodeObjectGraph(AsBytes(bytes));
  ASSERT_TRUE(keys);
  EXPECT_EQ(*keys, (std::map<std::string, std::string>{{"v", "b"}}));
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    DecodeObjectGraph(AsBytes(bytes.substr(0, size)));  // cut anywhere, it is read within bounds
  }
  EXPECT_FALSE(DecodeObjectGraph(AsBytes(bytes.substr(0, 5))));
}

}  // namespace
}  // namespace waypost
