// Summary operations in a graph: tags as TensorFlow made them of the same calls, real nodes, the
// collection; and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/graph_model.h"
#include "support/expect_error.h"
#include "waypost/summary.h"

namespace waypost {
namespace {

using testing::ElementsAre;

class SummaryOps : public testing::Test {
 protected:
  SummaryOps() : value_(graph_.AddPlaceholder("value", DType::kFloat32, {})) {}

  const Node& NodeOf(const Output& output) const {
    return graph_.impl().model().nodes[output.node];
  }
  std::string TagOf(const Output& output) const {
    return std::get<TensorValue>(NodeOf(NodeOf(output).inputs[0]).attrs.at("value")).strings[0];
  }
  std::string ScalarTag(const std::string& name) {
    return TagOf(summary::Scalar(graph_, name, value_));
  }

  Graph graph_;
  Output value_;
};

TEST_F(SummaryOps, TagsAreCleanedAndUnique) {
  EXPECT_EQ(ScalarTag("loss"), "loss");
  EXPECT_EQ(ScalarTag("loss"), "loss_1");
  EXPECT_EQ(ScalarTag("Loss"), "Loss_2");
  EXPECT_EQ(ScalarTag("a b"), "a_b");
  EXPECT_EQ(ScalarTag("a:0"), "a_0");
  EXPECT_EQ(ScalarTag("//x/y"), "x/y");
  EXPECT_EQ(ScalarTag("value"), "value_1") << "a node has that name";
  const NameScope scope(graph_, "sc");
  EXPECT_EQ(ScalarTag("loss"), "sc/loss");
  EXPECT_EQ(ScalarTag("_x"), "sc/_x");
}

TEST_F(SummaryOps, AnEmptyNameIsAnEmptyTag) {
  const Output first = summary::Scalar(graph_, "", value_);
  const Output second = summary::Scalar(graph_, "", value_);
  EXPECT_EQ(TagOf(first), "");
  EXPECT_EQ(TagOf(second), "");
  EXPECT_EQ(NodeOf(first).name, "ScalarSummary");
  EXPECT_EQ(NodeOf(second).name, "ScalarSummary_1");
}

TEST_F(SummaryOps, RefusesTagsThatAreNoNames) {
  for (const char* name : {"_x", "-x", "\xC3\xA9", "a\xFF"}) {
    EXPECT_EQ(CodeOf([&] { ScalarTag(name); }), Code::kInvalidArgument) << name;
  }
}

TEST_F(SummaryOps, AreNodesThatTensorFlowKnows) {
  const NameScope scope(graph_, "summaries");
  const Output scalar = summary::Scalar(graph_, "loss", value_);
  const Output histogram = summary::Histogram(graph_, "loss", value_);
  EXPECT_EQ(NodeOf(scalar).op, "ScalarSummary");
  EXPECT_EQ(NodeOf(scalar).name, "summaries/loss");
  EXPECT_EQ(NodeOf(NodeOf(scalar).inputs[0]).name, "summaries/loss/tags");
  EXPECT_EQ(NodeOf(scalar).inputs[1].node, value_.node);
  EXPECT_EQ(std::get<DType>(NodeOf(scalar).attrs.at("T")), DType::kFloat32);
  EXPECT_EQ(NodeOf(histogram).op, "HistogramSummary");
  EXPECT_EQ(NodeOf(NodeOf(histogram).inputs[0]).name, "summaries/loss_1/tag");
}

TEST_F(SummaryOps, MergeAllTakesTheCollectionInOrder) {
  EXPECT_EQ(CodeOf([&] { summary::MergeAll(graph_); }), Code::kFailedPrecondition);
  const Output first = summary::Scalar(graph_, "a", value_);
  const Output second = summary::Histogram(graph_, "b", value_);
  const Output merged = summary::MergeAll(graph_);
  EXPECT_EQ(NodeOf(merged).name, "Merge/MergeSummary");
  ASSERT_EQ(NodeOf(merged).inputs.size(), 2U);
  EXPECT_EQ(NodeOf(merged).inputs[0].node, first.node);
  EXPECT_EQ(NodeOf(merged).inputs[1].node, second.node);
  const Output again = summary::MergeAll(graph_);
  EXPECT_EQ(NodeOf(again).name, "Merge_1/MergeSummary");
  EXPECT_EQ(NodeOf(again).inputs.size(), 2U) << "a merge is not in the collection";
}

TEST_F(SummaryOps, RefusesValuesThatCannotBeShown) {
  const Output text = graph_.AddPlaceholder("text", DType::kString, {});
  const Output truth = graph_.AddPlaceholder("truth", DType::kBool, {});
  const Output scalar = summary::Scalar(graph_, "s", value_);
  for (const Output& output :
       {text, truth, scalar, Output{.node = 99999}, Output{.node = value_.node, .index = 1}}) {
    EXPECT_EQ(CodeOf([&] { summary::Scalar(graph_, "x", output); }), Code::kInvalidArgument);
    EXPECT_EQ(CodeOf([&] { summary::Histogram(graph_, "x", output); }), Code::kInvalidArgument);
  }
  EXPECT_EQ(ScalarTag("x"), "x") << "what was refused has taken no name";
}

TEST(Summary, ParseTakesMessagesOnly) {
  EXPECT_EQ(Summary::Parse("").Serialize(), "");
  const std::string value("\x0a\x08\x0a\x01x\x15\x00\x00\xc0\x3f", 10);
  EXPECT_EQ(Summary::Parse(value).Serialize(), value);
  EXPECT_EQ(CodeOf([] { Summary::Parse("\x0a\x7f"); }), Code::kDataLoss);
}

}  // namespace
}  // namespace waypost
