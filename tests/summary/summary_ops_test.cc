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

std::vector<std::string> InputNames(const GraphModel& model, const Node& node) {
  std::vector<std::string> names;
  for (const Output& input : node.inputs) names.push_back(InputText(model, input));
  return names;
}

TEST_F(SummaryOps, EveryKindIsANodeThatTensorFlowKnows) {
  const Output images = graph_.AddPlaceholder("images", DType::kFloat32, {-1, 2, 2, 1});
  const Output clips = graph_.AddPlaceholder("clips", DType::kFloat32, {2, 4});
  const Output rate = graph_.AddPlaceholder("rate", DType::kFloat32, {});
  const Output texts = graph_.AddPlaceholder("texts", DType::kString, {2});
  const NameScope scope(graph_, "sc");
  const GraphModel& model = graph_.impl().model();

  const Node image = NodeOf(summary::Image(graph_, "img", images, {.max_outputs = 2}));
  EXPECT_EQ(image.op, "ImageSummary");
  EXPECT_THAT(InputNames(model, image), ElementsAre("sc/img/tag", "images"));
  EXPECT_EQ(std::get<std::int64_t>(image.attrs.at("max_images")), 2);
  EXPECT_THAT(std::get<TensorValue>(image.attrs.at("bad_color")).ints, ElementsAre(255, 0, 0, 255));

  const Node audio = NodeOf(summary::Audio(graph_, "aud", clips, 44100));
  EXPECT_EQ(audio.op, "AudioSummaryV2");
  EXPECT_THAT(InputNames(model, audio), ElementsAre("sc/aud/tag", "clips", "sc/aud/sample_rate"));
  EXPECT_EQ(std::get<std::int64_t>(audio.attrs.at("max_outputs")), 3);
  EXPECT_FALSE(audio.attrs.contains("T"));
  EXPECT_THAT(InputNames(model, NodeOf(summary::Audio(graph_, "aud", clips, rate))),
              ElementsAre("sc/aud_1/tag", "clips", "rate"));

  const Node text = NodeOf(summary::Text(graph_, "txt", texts));
  EXPECT_EQ(text.op, "TensorSummaryV2");
  EXPECT_THAT(InputNames(model, text),
              ElementsAre("sc/txt/tag", "texts", "sc/txt/serialized_summary_metadata"));
  EXPECT_THAT(std::get<TensorValue>(NodeOf(text.inputs[2]).attrs.at("value")).strings,
              ElementsAre("\x0a\x06\x0a\x04text"));

  const Node tensor = NodeOf(summary::TensorSummary(
      graph_, "ten", clips, {.summary_description = "desc", .display_name = "disp"}));
  EXPECT_EQ(std::get<DType>(tensor.attrs.at("T")), DType::kFloat32);
  EXPECT_THAT(std::get<TensorValue>(NodeOf(tensor.inputs[2]).attrs.at("value")).strings,
              ElementsAre("\x12\x04"
                          "disp\x1a\x04"
                          "desc"));
}

TEST_F(SummaryOps, AFamilyIsTheFrontOfScopeAndTag) {
  const NameScope scope(graph_, "sc");
  const auto tag = [&](const std::string& name, const std::string& family) {
    return TagOf(summary::Scalar(graph_, name, value_, {.family = family}));
  };
  EXPECT_EQ(tag("loss", "fam"), "fam/sc/fam/loss");
  EXPECT_EQ(tag("loss", "fam"), "fam/sc/fam/loss_1");
  EXPECT_EQ(tag("x", "f f"), "f_f/sc/f_f/x");
  EXPECT_EQ(tag("x", "f/g"), "f/g/sc/f/g/x");
  EXPECT_EQ(tag("x", ""), "sc/x");
}

TEST_F(SummaryOps, GoIntoTheCollectionsThatTheyAreTold) {
  const Output nowhere = summary::Scalar(graph_, "a", value_, {.collections = {}});
  const Output both = summary::Scalar(graph_, "b", value_, {.collections = {"summaries", "other"}});
  EXPECT_NE(nowhere.node, both.node);
  ASSERT_EQ(graph_.impl().Collection("summaries").size(), 1U);
  EXPECT_EQ(graph_.impl().Collection("summaries")[0].node, both.node);
  EXPECT_EQ(graph_.impl().Collection("other").size(), 1U);
  const std::size_t nodes = graph_.impl().model().nodes.size();
  EXPECT_EQ(CodeOf([&] { summary::Scalar(graph_, "c", value_, {.collections = {"variables"}}); }),
            Code::kInvalidArgument);
  EXPECT_EQ(graph_.impl().model().nodes.size(), nodes);
  const Output merged = summary::MergeAll(graph_, {.key = "other", .name = "m m"});
  EXPECT_EQ(NodeOf(merged).name, "m_m/m_m");
  EXPECT_EQ(NodeOf(merged).inputs.size(), 1U);
}

TEST_F(SummaryOps, MergeAllTakesAScopeAsARegularExpression) {
  const auto add = [&](const std::string& scope) {
    const NameScope inside(graph_, scope);
    summary::Scalar(graph_, "loss", value_);
  };
  add("train");
  add("test");
  const auto count = [&](const std::string& scope) {
    return NodeOf(summary::MergeAll(graph_, {.scope = scope})).inputs.size();
  };
  EXPECT_EQ(count("train"), 1U);
  EXPECT_EQ(count("t.*/"), 2U);
  EXPECT_EQ(count(".*loss:0$"), 2U) << "it is the tensor's name";
  EXPECT_EQ(CodeOf([&] { count("loss"); }), Code::kFailedPrecondition) << "from the beginning";
  EXPECT_EQ(CodeOf([&] { count("("); }), Code::kInvalidArgument);
}

TEST_F(SummaryOps, AScopeIsNotHeldAgainstNamesBeyondAllMeasure) {
  const auto count = [&](const std::string& scope) {
    return NodeOf(summary::MergeAll(graph_, {.scope = scope})).inputs.size();
  };
  // ":0" makes it a tensor's name.
  summary::Scalar(graph_, std::string(2046, 'a'), value_);
  EXPECT_EQ(count(".*"), 1U);
  summary::Scalar(graph_, std::string(200'000, 'b'), value_);
  EXPECT_EQ(CodeOf([&] { count(".*"); }), Code::kInvalidArgument);
  EXPECT_EQ(count(""), 2U);
}

TEST_F(SummaryOps, MergeTakesWhatItIsGiven) {
  const std::vector<Output> inputs = {summary::Scalar(graph_, "b", value_),
                                      summary::Scalar(graph_, "a", value_)};
  const Output merged = summary::Merge(graph_, inputs, {.name = "m", .collections = {"merged"}});
  EXPECT_THAT(InputNames(graph_.impl().model(), NodeOf(merged)), ElementsAre("b", "a"));
  EXPECT_EQ(NodeOf(merged).name, "m/m");
  EXPECT_EQ(graph_.impl().Collection("merged").size(), 1U);
  EXPECT_EQ(NodeOf(summary::Merge(graph_, inputs)).name, "Merge/MergeSummary");
  EXPECT_EQ(CodeOf([&] { summary::Merge(graph_, {}); }), Code::kInvalidArgument);
  const std::vector<Output> elsewhere = {Output{.node = 99999}};
  EXPECT_EQ(CodeOf([&] { summary::Merge(graph_, elsewhere); }), Code::kInvalidArgument);
}

TEST_F(SummaryOps, RefuseWhatTheirKindCannotShow) {
  const Output images = graph_.AddPlaceholder("images", DType::kFloat32, {-1, 2, 2, 1});
  const Output ints = graph_.AddPlaceholder("ints", DType::kInt32, {-1, 2, 2, 1});
  const Output texts = graph_.AddPlaceholder("texts", DType::kString, {});
  const std::size_t nodes = graph_.impl().model().nodes.size();
  const auto refused = [&](auto add) { EXPECT_EQ(CodeOf(add), Code::kInvalidArgument); };
  refused([&] { summary::Image(graph_, "x", images, {.max_outputs = 0}); });
  refused([&] { summary::Image(graph_, "x", ints); });
  refused([&] { summary::Image(graph_, "x", value_); });
  refused([&] { summary::Audio(graph_, "x", images, 1); });
  refused([&] { summary::Audio(graph_, "x", ints, 1); });
  refused([&] { summary::Audio(graph_, "x", images, texts); });
  refused([&] { summary::Text(graph_, "x", value_); });
  refused([&] { summary::TensorSummary(graph_, "x", value_, {.display_name = "\xff"}); });
  EXPECT_EQ(graph_.impl().model().nodes.size(), nodes);
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
