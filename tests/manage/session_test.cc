// Session: what a variable may be bound to, owned memory, and summaries evaluated to the bytes that
// they must have; every wrong use has its error.
#include "waypost/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/bytes.h"
#include "graph/graph_model.h"
#include "support/expect_error.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

using testing::HasSubstr;

class SessionTest : public testing::Test {
 protected:
  std::vector<SummaryValue> Run(const Output& summary,
                                const std::vector<std::pair<Output, Feed>>& feeds) {
    const Summary result = session_.Run(summary, feeds);
    return DecodeSummary(AsBytes(result.Serialize())).value();
  }
  float RunScalar(const Output& summary, const std::vector<std::pair<Output, Feed>>& feeds) {
    return std::get<float>(Run(summary, feeds).at(0).value);
  }

  Engine engine_{{.staging_bytes = 16 << 20}};
  Graph graph_;
  Variable kernel_ = graph_.AddVariable("kernel", {.shape = {2, 3}});
  Session session_{engine_, graph_};
  std::vector<float> memory_ = {1, 2, 3, 4, 5, 6};
  TensorView view_{memory_.data(), DType::kFloat32, {2, 3}};
};

TEST_F(SessionTest, BindsBorrowedMemory) {
  EXPECT_EQ(CodeOf([&] { session_.Value(kernel_); }), Code::kFailedPrecondition);
  session_.Bind(kernel_, view_);
  EXPECT_EQ(session_.Value(kernel_).data(), memory_.data());
  session_.Bind(kernel_, view_);
  std::vector<float> other(6);
  EXPECT_EQ(CodeOf([&] {
              session_.Bind(kernel_, TensorView(other.data(), DType::kFloat32, {2, 3}));
            }),
            Code::kAlreadyExists);
  EXPECT_EQ(session_.Value(kernel_).data(), memory_.data()) << "a refused Bind changes nothing";
}

TEST_F(SessionTest, RefusesOtherDTypesAndShapesByName) {
  const TensorView transposed(memory_.data(), DType::kFloat32, {3, 2});
  const TensorView integers(memory_.data(), DType::kInt32, {2, 3});
  for (const TensorView& view : {transposed, integers}) {
    EXPECT_EQ(CodeOf([&] { session_.Bind(kernel_, view); }), Code::kInvalidArgument);
  }
  EXPECT_EQ(MessageOf([&] { session_.Bind(kernel_, transposed); }),
            "bind kernel: the variable is float32 [2,3] and the memory float32 [3,2]");
}

TEST_F(SessionTest, RefusesVariablesOfAnotherGraph) {
  Graph other;
  const Variable stranger = other.AddVariable("kernel", {.shape = {2, 3}});
  EXPECT_EQ(CodeOf([&] { session_.Bind(stranger, view_); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { session_.Value(stranger); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { session_.Value(Variable()); }), Code::kInvalidArgument);
}

TEST_F(SessionTest, InitializeGivesZeroedMemoryToWhatIsNotBound) {
  const Variable step = graph_.AddVariable("step", {.dtype = DType::kInt64});
  const Variable words = graph_.AddVariable("words", {.dtype = DType::kString, .shape = {2}});
  const Variable empty = graph_.AddVariable("empty", {.shape = {0, 4}});
  session_.Bind(kernel_, view_);
  session_.Initialize();
  EXPECT_EQ(session_.Value(kernel_).data(), memory_.data());
  EXPECT_EQ(memory_[5], 6) << "bound memory is left alone";
  auto* number = static_cast<std::int64_t*>(session_.Value(step).data());
  EXPECT_EQ(*number, 0);
  *number = 7;
  EXPECT_EQ(static_cast<std::string*>(session_.Value(words).data())[1], "");
  EXPECT_EQ(session_.Value(empty).element_count(), 0);
  session_.Initialize();
  EXPECT_EQ(*number, 7) << "a second time there is nothing to do";
  const Variable late = graph_.AddVariable("late", {});
  session_.Initialize();
  EXPECT_EQ(session_.Value(late).element_count(), 1);
  Session moved = std::move(session_);
  EXPECT_EQ(moved.Value(step).data(), number);
}

TEST_F(SessionTest, MemoryThatCannotBeHadIsAnError) {
  // More bytes than any address space; what is merely too much, sanitizers' allocators would abort
  // at.
  graph_.AddVariable("huge", {.shape = {std::int64_t{1} << 61}});
  EXPECT_EQ(CodeOf([&] { session_.Initialize(); }), Code::kResourceExhausted);
  EXPECT_THAT(MessageOf([&] { session_.Initialize(); }), HasSubstr("huge"));
}

TEST_F(SessionTest, UndefinedVariablesAreNotSaved) {
  EXPECT_EQ(CodeOf([&] { session_.SavableValue(kernel_); }), Code::kFailedPrecondition);
  EXPECT_THAT(MessageOf([&] { session_.SavableValue(kernel_); }), HasSubstr("kernel"));
  session_.Bind(kernel_, view_);
  EXPECT_EQ(session_.SavableValue(kernel_).data(), memory_.data());
  session_.SetUndefined(kernel_, true);
  EXPECT_EQ(CodeOf([&] { session_.SavableValue(kernel_); }), Code::kFailedPrecondition);
  EXPECT_EQ(session_.Value(kernel_).data(), memory_.data()) << "a restore may still fill it";
  session_.Bind(kernel_, view_);
  EXPECT_EQ(session_.SavableValue(kernel_).data(), memory_.data());
  session_.SetUndefined(kernel_, true);
  session_.SetUndefined(kernel_, false);
  EXPECT_EQ(session_.SavableValue(kernel_).data(), memory_.data());
}

TEST_F(SessionTest, InitializeClearsItsOwnUndefinedMemory) {
  session_.Initialize();
  auto* values = static_cast<float*>(session_.Value(kernel_).data());
  values[3] = 5;
  session_.SetUndefined(kernel_, true);
  session_.Initialize();
  EXPECT_EQ(values[3], 0);
  EXPECT_EQ(session_.SavableValue(kernel_).data(), values);
}

TEST_F(SessionTest, RunEvaluatesSummariesOfFeedsAndVariables) {
  const Output loss = graph_.AddPlaceholder("loss", DType::kFloat32, {});
  summary::Scalar(graph_, "loss", loss);
  summary::Histogram(graph_, "kernel", kernel_.output());
  const Output merged = summary::MergeAll(graph_);
  session_.Bind(kernel_, view_);
  const Summary result = session_.Run(merged, {{loss, 0.1}});
  const std::vector<SummaryValue> values = DecodeSummary(AsBytes(result.Serialize())).value();
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0].tag, "loss_1");
  EXPECT_EQ(std::get<float>(values[0].value), 0.1F);
  const auto& histogram = std::get<HistogramData>(values[1].value);
  EXPECT_EQ(values[1].tag, "kernel_1");
  EXPECT_EQ(histogram.num, 6);
  EXPECT_EQ(histogram.sum, 21);
  EXPECT_EQ(histogram.sum_squares, 91);
}

TEST_F(SessionTest, ScalarsOfEveryRealDTypeAreShown) {
  const std::vector<std::pair<DType, double>> cases = {
      {DType::kFloat64, 0.1},   {DType::kInt8, -3},       {DType::kUInt16, 65535},
      {DType::kInt64, -0x1p62}, {DType::kUInt64, 0x1p63}, {DType::kFloat16, 1.5},
      {DType::kBFloat16, -2.5}};
  for (const auto& [dtype, number] : cases) {
    const Output value = graph_.AddPlaceholder("value", dtype, {});
    EXPECT_EQ(RunScalar(summary::Scalar(graph_, "s", value), {{value, number}}),
              static_cast<float>(number))
        << DTypeName(dtype);
  }
}

TEST_F(SessionTest, LargeIntegersAreRoundedOnce) {
  const Output value = graph_.AddPlaceholder("value", DType::kInt64, {});
  const Output scalar = summary::Scalar(graph_, "s", value);
  // Half way between two floats and a little more; as a double it would be just half way.
  const std::int64_t number = (std::int64_t{1} << 62) + (std::int64_t{1} << 38) + 1;
  EXPECT_EQ(RunScalar(scalar, {{value, ConstTensorView(&number, DType::kInt64, {})}}),
            static_cast<float>(number));
  EXPECT_NE(static_cast<float>(number), static_cast<float>(static_cast<double>(number)));
}

TEST_F(SessionTest, ScalarsMayBeNanAndInfiniteButHistogramsNot) {
  const Output value = graph_.AddPlaceholder("value", DType::kFloat32, {});
  const Output scalar = summary::Scalar(graph_, "s", value);
  const Output histogram = summary::Histogram(graph_, "h", value);
  EXPECT_TRUE(std::isnan(RunScalar(scalar, {{value, std::nan("")}})));
  for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_EQ(CodeOf([&] { Run(histogram, {{value, number}}); }), Code::kInvalidArgument);
    EXPECT_THAT(MessageOf([&] { Run(histogram, {{value, number}}); }), HasSubstr("'h'"));
  }
}

TEST_F(SessionTest, FeedsMustFit) {
  const Output rows = graph_.AddPlaceholder("rows", DType::kFloat32, {-1, 3});
  const Output histogram = summary::Histogram(graph_, "h", rows);
  EXPECT_EQ(std::get<HistogramData>(Run(histogram, {{rows, view_}}).at(0).value).num, 6);
  const auto code = [&](const std::vector<std::pair<Output, Feed>>& feeds) {
    return CodeOf([&] { Run(histogram, feeds); });
  };
  EXPECT_EQ(code({}), Code::kInvalidArgument) << "not fed";
  EXPECT_THAT(MessageOf([&] { Run(histogram, {}); }), HasSubstr("rows"));
  EXPECT_EQ(code({{rows, 1.0}}), Code::kInvalidArgument) << "a number where there must be rows";
  EXPECT_EQ(code({{rows, ConstTensorView(memory_.data(), DType::kFloat32, {3, 2})}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({{rows, ConstTensorView(memory_.data(), DType::kInt32, {2, 3})}}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({{rows, view_}, {rows, view_}}), Code::kInvalidArgument) << "fed twice";
  EXPECT_EQ(code({{rows, view_}, {histogram, 1.0}}), Code::kInvalidArgument) << "no placeholder";
  EXPECT_EQ(code({{rows, view_}, {Output{.node = 12345}, 1.0}}), Code::kInvalidArgument);
  const Output count = graph_.AddPlaceholder("count", DType::kInt32, {});
  EXPECT_EQ(code({{rows, view_}, {count, 0.5}}), Code::kInvalidArgument) << "half an integer";
  const Output text = graph_.AddPlaceholder("text", DType::kString, {});
  EXPECT_EQ(code({{rows, view_}, {text, 1.0}}), Code::kInvalidArgument) << "a number as text";
}

TEST_F(SessionTest, RunShowsConstants) {
  const double half = 0.5;
  const Output constant = graph_.AddConst("half", {&half, DType::kFloat64, {}});
  EXPECT_EQ(RunScalar(summary::Scalar(graph_, "s", constant), {}), 0.5F);
  const Output matrix = graph_.AddConst("matrix", {memory_.data(), DType::kFloat32, {2, 3}});
  EXPECT_EQ(CodeOf([&] { RunScalar(summary::Scalar(graph_, "m", matrix), {}); }),
            Code::kInvalidArgument);
}

TEST_F(SessionTest, RunRefusesWhatIsNoScalarNoSummaryOrNotBound) {
  const Output rows = graph_.AddPlaceholder("rows", DType::kFloat32, {-1, 3});
  EXPECT_EQ(CodeOf([&] {
              Run(summary::Scalar(graph_, "s", rows), {{rows, view_}});
            }),
            Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { Run(rows, {{rows, view_}}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { Run(Output{.node = 12345}, {}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { Run(summary::Histogram(graph_, "k", kernel_.output()), {}); }),
            Code::kFailedPrecondition);
}

TEST_F(SessionTest, RunShowsImagesAudioTextsAndTensors) {
  const Output images = graph_.AddPlaceholder("images", DType::kUInt8, {-1, 1, 2, 1});
  const Output clips = graph_.AddPlaceholder("clips", DType::kFloat32, {-1, 2});
  const Output rate = graph_.AddPlaceholder("rate", DType::kFloat32, {});
  const Output texts = graph_.AddPlaceholder("texts", DType::kString, {2});
  summary::Image(graph_, "i", images);
  summary::Image(graph_, "one", images, {.max_outputs = 1});
  summary::Audio(graph_, "a", clips, rate, {.max_outputs = 2});
  summary::Text(graph_, "t", texts);
  summary::TensorSummary(graph_, "k", kernel_.output(), {.display_name = "shown"});
  session_.Bind(kernel_, view_);
  const std::vector<std::uint8_t> pixels(8, 7);
  const std::vector<float> samples(6, 0.5F);
  const std::vector<std::string> words = {"one", ""};
  const std::vector<SummaryValue> values =
      Run(summary::MergeAll(graph_),
          {{images, ConstTensorView(pixels.data(), DType::kUInt8, {4, 1, 2, 1})},
           {clips, ConstTensorView(samples.data(), DType::kFloat32, {3, 2})},
           {rate, 8000.0},
           {texts, ConstTensorView(words.data(), DType::kString, {2})}});
  std::vector<std::string> tags;
  for (const SummaryValue& value : values) tags.push_back(value.tag);
  EXPECT_THAT(tags, testing::ElementsAre("i/image/0", "i/image/1", "i/image/2", "one/image",
                                         "a/audio/0", "a/audio/1", "t", "k"));
  EXPECT_EQ(std::get<ImageData>(values[0].value).width, 2);
  EXPECT_EQ(std::get<AudioData>(values[4].value).sample_rate, 8000);
  EXPECT_EQ(std::get<TensorData>(values[6].value).strings, words);
  EXPECT_EQ(values[6].metadata->plugin_name, "text");
  EXPECT_EQ(std::get<TensorData>(values[7].value).shape, kernel_.shape());
  EXPECT_EQ(values[7].metadata->display_name, "shown");
}

TEST_F(SessionTest, ASmallBatchKeepsTheTagsOfALargeOne) {
  const Output images = graph_.AddPlaceholder("images", DType::kUInt8, {-1, 1, 1, 1});
  const Output summary = summary::Image(graph_, "i", images);
  const std::uint8_t pixel = 7;
  const auto run = [&](std::int64_t batch) {
    return Run(summary, {{images, ConstTensorView(&pixel, DType::kUInt8, {batch, 1, 1, 1})}});
  };
  ASSERT_EQ(run(1).size(), 1U);
  EXPECT_EQ(run(1)[0].tag, "i/image/0");
  EXPECT_TRUE(run(0).empty());
}

TEST_F(SessionTest, MergeTakesSerializedSummariesOfElsewhere) {
  const Output value = graph_.AddPlaceholder("value", DType::kFloat32, {});
  const Output bytes = graph_.AddPlaceholder("bytes", DType::kString, {});
  const std::vector<Output> inputs = {bytes, summary::Scalar(graph_, "a", value)};
  const Output merged = summary::Merge(graph_, inputs);
  const auto run = [&](const std::string& serialized) {
    return Run(merged, {{value, 1.0}, {bytes, ConstTensorView(&serialized, DType::kString, {})}});
  };
  Summary other;
  other.AddScalar("b", 2);
  EXPECT_EQ(run(other.Serialize()).size(), 2U);
  EXPECT_EQ(run("").size(), 1U);
  Summary same;
  same.AddScalar("a", 2);
  EXPECT_EQ(CodeOf([&] { run(same.Serialize()); }), Code::kInvalidArgument) << "a tag twice";
  EXPECT_EQ(CodeOf([&] { run("\x0a\x7f"); }), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([&] { run("\x0a\x7f"); }), HasSubstr("bytes"));
  EXPECT_EQ(run(std::string("\x0a\x05\x0a\x01o\x1a\x00", 7)).size(), 2U)
      << "a kind of value that is not looked into";
}

TEST_F(SessionTest, ASampleRateIsJudgedWhenItIsKnown) {
  const Output clips = graph_.AddPlaceholder("clips", DType::kFloat32, {1, 1});
  const float sample = 0;
  const ConstTensorView view(&sample, DType::kFloat32, {1, 1});
  const Output summary = summary::Audio(graph_, "a", clips, -1.0F);
  EXPECT_EQ(CodeOf([&] { Run(summary, {{clips, view}}); }), Code::kInvalidArgument);
}

TEST_F(SessionTest, EmptyTagsMayRepeat) {
  const Output value = graph_.AddPlaceholder("value", DType::kFloat32, {});
  summary::Scalar(graph_, "", value);
  summary::Scalar(graph_, "", value);
  EXPECT_EQ(Run(summary::MergeAll(graph_), {{value, 1.0}}).size(), 2U);
}

TEST_F(SessionTest, OtherTagsMayNot) {
  const Output value = graph_.AddPlaceholder("value", DType::kFloat32, {});
  const Output scalar = summary::Scalar(graph_, "loss", value);
  // The public calls make tags unique: the second operation has to be put together by hand.
  const std::vector<Output> inputs = graph_.impl().model().nodes[scalar.node].inputs;
  graph_.impl().AddToCollection(kSummariesKey,
                                graph_.impl().AddNode("again", "ScalarSummary", inputs, {}));
  const Output merged = summary::MergeAll(graph_);
  EXPECT_EQ(CodeOf([&] { Run(merged, {{value, 1.0}}); }), Code::kInvalidArgument);
  EXPECT_THAT(MessageOf([&] { Run(merged, {{value, 1.0}}); }), HasSubstr("'loss'"));
}

}  // namespace
}  // namespace waypost
