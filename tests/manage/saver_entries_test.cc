// What a VarList says that is saved: names, order and slices as TensorFlow has them, and each of
// its refusals, with the name that is wrong.
#include "manage/saver_entries.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SaverEntriesTest : public ::testing::Test {
 protected:
  // "name=variable" and, of a slice, its spec.
  std::vector<std::string> Entries(const VarList& list) const {
    std::vector<std::string> lines;
    for (const SaverEntry& entry : SaverEntries(list, graph_)) {
      const std::string spec = ShapeAndSliceSpec(entry);
      lines.push_back(fmt::format("{}={}{}{}", entry.name, entry.variable.name(),
                                  spec.empty() ? "" : " ", spec));
    }
    return lines;
  }
  void ExpectRefused(const VarList& list, const std::string& why) const {
    EXPECT_EQ(CodeOf([&] { SaverEntries(list, graph_); }), Code::kInvalidArgument);
    EXPECT_THAT(MessageOf([&] { SaverEntries(list, graph_); }), HasSubstr(why));
  }

  Graph graph_;
  Variable b_ = graph_.AddVariable("b", {.shape = {2}});
  Variable a_ = graph_.AddVariable("a", {.shape = {3}});
  std::vector<Variable> parts_ = graph_.AddPartitionedVariable("p", {.shape = {5, 2}}, {2, 1});
};

TEST_F(SaverEntriesTest, NothingIsTheCollectionOfVariables) {
  graph_.AddVariable("local", {.collections = {"local_variables"}});
  EXPECT_THAT(Entries({}),
              ElementsAre("a=a", "b=b", "p=p/part_0 5 2 0,3:0,2", "p=p/part_1 5 2 3,2:0,2"));
}

TEST_F(SaverEntriesTest, AListIsFlattenedAndSortedByName) {
  EXPECT_THAT(Entries({b_, a_}), ElementsAre("a=a", "b=b"));
  EXPECT_THAT(Entries({parts_, a_}),
              ElementsAre("a=a", "p=p/part_0 5 2 0,3:0,2", "p=p/part_1 5 2 3,2:0,2"));
  EXPECT_THAT(Entries({parts_[1]}), ElementsAre("p=p/part_1 5 2 3,2:0,2")) << "the rest is a hole";
  EXPECT_THAT(Entries(std::vector<Variable>{}), IsEmpty());
}

TEST_F(SaverEntriesTest, SlicesAreInTheOrderOfTheirVariablesNames) {
  const auto many = graph_.AddPartitionedVariable("q", {.shape = {11}}, {11});
  const std::vector<std::string> entries = Entries(many);
  ASSERT_EQ(entries.size(), 11U);
  EXPECT_EQ(entries[0], "q=q/part_0 11 0,1");
  EXPECT_EQ(entries[1], "q=q/part_10 11 10,1") << "as the text part_10:0, before part_1:0";
  EXPECT_EQ(entries[2], "q=q/part_1 11 1,1");
  EXPECT_EQ(entries[10], "q=q/part_9 11 9,1");
}

TEST_F(SaverEntriesTest, AMapGivesNamesOfItsOwn) {
  EXPECT_THAT(Entries({{"z", a_}, {"y", b_}}), ElementsAre("y=b", "z=a"));
  EXPECT_THAT(Entries({{"table", parts_}, {"one", a_}}),
              ElementsAre("one=a", "table=p/part_0 5 2 0,3:0,2", "table=p/part_1 5 2 3,2:0,2"));
  EXPECT_THAT(Entries(std::map<std::string, VariableOrSlices>{{"m", b_}}), ElementsAre("m=b"));
}

TEST_F(SaverEntriesTest, ASingleSliceInAMapIsAWholeTensor) {
  EXPECT_THAT(Entries({{"part", parts_[0]}}), ElementsAre("part=p/part_0"));
}

TEST_F(SaverEntriesTest, RefusesWhatIsNamedAlike) {
  ExpectRefused({a_, a_}, "at least two variables have the same name: a");
  ExpectRefused({{"x", a_}, {"x", b_}}, "the var_list has the name x twice");
  ExpectRefused({{"x", a_}, {"y", a_}}, "variable a is saved twice, the second time as y");
  ExpectRefused({parts_[0], parts_[0]}, "variable p/part_0 is saved twice");
  Graph graph;
  const Variable whole = graph.AddVariable("w", {.shape = {2}});
  const Variable slice =
      graph.AddVariable("w/part_0", {.shape = {1}, .slice = SaveSliceInfo{"w", {2}, {{{0, 1}}}}});
  EXPECT_THAT(MessageOf([&] {
                SaverEntries({whole, slice}, graph);
              }),
              HasSubstr("mixing slices and non-slices with the same name: w"));
}

TEST_F(SaverEntriesTest, RefusesListsThatAreNotTheSlicesOfOneVariable) {
  const auto others = graph_.AddPartitionedVariable("q", {.shape = {4}}, {2});
  ExpectRefused({{"x", {parts_[0], others[0]}}},
                "x: slices must all be from the same tensor: p != q");
  ExpectRefused({{"x", {parts_[0], a_}}}, "x: slices must all be slices, a is none");
  ExpectRefused({{"x", std::vector<Variable>{}}}, "x: its list of slices is empty");
}

TEST_F(SaverEntriesTest, RefusesAnotherGraphsVariables) {
  Graph other;
  const Variable a = other.AddVariable("a", {.shape = {3}});
  ExpectRefused({a}, "a: variable 'a' is not of the saver's graph");
  ExpectRefused({{"x", Variable()}}, "x: variable '' is not of the saver's graph");
  ExpectRefused({{"", a_}}, "empty name");
}

TEST_F(SaverEntriesTest, DevicesAreInTensorFlowsForm) {
  const Variable short_form = graph_.AddVariable("s", {.device = "/task:1/job:a/gpu:2"});
  const Variable no_number = graph_.AddVariable("t", {.device = "/device:gpu:*"});
  const Variable tpu = graph_.AddVariable("u", {.device = "/tpu:3"});
  std::vector<SaverEntry> entries = SaverEntries({a_, short_form, no_number, tpu}, graph_);
  PlaceOnDevices(entries);
  EXPECT_EQ(entries[0].device, "");
  EXPECT_EQ(entries[1].device, "/job:a/task:1/device:GPU:2");
  EXPECT_EQ(entries[2].device, "/device:GPU:*");
  EXPECT_EQ(entries[3].device, "/device:TPU:3");
}

}  // namespace
}  // namespace waypost
