// EvaluateSummary over graphs that Waypost would not have made, as an imported file may hold them:
// whatever is wrong in one is an error that names the node.
#include "summary/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <complex>

#include "support/expect_error.h"

namespace waypost {
namespace {

class Evaluate : public testing::Test {
 protected:
  Evaluate() {
    std::vector<std::unique_ptr<Device>> devices;
    devices.push_back(MakeHostDevice());
    devices_.emplace(std::move(devices));
  }

  Output Add(const std::string& name, const std::string& op, std::vector<Output> inputs = {},
             AttrMap attrs = {}) {
    graph_.nodes.push_back({.name = name,
                            .op = op,
                            .inputs = std::move(inputs),
                            .attrs = std::move(attrs),
                            .device = {}});
    return {.node = graph_.nodes.size() - 1};
  }
  Output AddText(const std::string& name, const std::string& text) {
    return Add(name, "Const", {},
               {{"value", TensorValue{.dtype = DType::kString, .strings = {text}}}});
  }
  Output AddFed(const std::string& name, const ConstTensorView& view) {
    const Output output = Add(name, "Placeholder");
    values_.insert_or_assign(output.node, view);
    return output;
  }

  Summary Run(const Output& output) const {
    const auto value_of = [&](const Output& input) { return values_.at(input.node); };
    return EvaluateSummary(graph_, output, value_of, {.devices = *devices_});
  }
  std::string ErrorOf(const Output& output) const {
    EXPECT_EQ(CodeOf([&] { Run(output); }), Code::kInvalidArgument);
    return MessageOf([&] { Run(output); });
  }

  std::optional<DeviceRegistry> devices_;
  GraphModel graph_;
  std::map<std::size_t, ConstTensorView> values_;
};

TEST_F(Evaluate, RefusesASampleRateThatIsNoRealNumber) {
  const std::complex<double> complex128(1, 1);
  const std::complex<float> complex64(1, 1);
  const std::string text = "44100";
  const bool truth = true;
  const float samples[] = {0, 1};
  const float number = 8000;
  const Output clips = AddFed("clips", ConstTensorView(samples, DType::kFloat32, {1, 2}));
  const Output tag = AddText("sound/tag", "sound");
  const auto sound = [&](const ConstTensorView& rate) {
    return Add("sound", "AudioSummaryV2", {tag, clips, AddFed("rate", rate)});
  };
  for (const ConstTensorView& rate :
       {ConstTensorView(&complex128, DType::kComplex128, {}),
        ConstTensorView(&complex64, DType::kComplex64, {}),
        ConstTensorView(&text, DType::kString, {}), ConstTensorView(&truth, DType::kBool, {})}) {
    EXPECT_EQ(ErrorOf(sound(rate)), std::string("run: sound: a value of ") +
                                        std::string(DTypeName(rate.dtype())) + " cannot be shown");
  }
  EXPECT_EQ(Run(sound(ConstTensorView(&number, DType::kFloat32, {}))).Values().size(), 1U);
}

TEST_F(Evaluate, MergesInTheOrderOfTheInputs) {
  const float number = 1;
  const Output fed = AddFed("fed", ConstTensorView(&number, DType::kFloat32, {}));
  const auto scalar = [&](const std::string& tag) {
    return Add(tag, "ScalarSummary", {AddText(tag + "/tag", tag), fed});
  };
  const Output inner = Add("inner", "MergeSummary", {scalar("b"), scalar("c")});
  const Output outer = Add("outer", "MergeSummary", {scalar("a"), inner, scalar("d")});
  std::vector<std::string> tags;
  for (const SummaryValue& value : Run(outer).Values()) tags.push_back(value.tag);
  EXPECT_THAT(tags, testing::ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(ErrorOf(fed), "run: fed is a Placeholder, and only summaries can be run");
}

TEST_F(Evaluate, RefusesAMergeOfItself) {
  const Output merge = Add("loop", "MergeSummary");
  graph_.nodes[merge.node].inputs = {merge};
  EXPECT_EQ(ErrorOf(merge), "run: loop is merged twice or into itself");
}

TEST_F(Evaluate, RefusesMergesThatDoubleAtEveryLevel) {
  Output merge = Add("leaf", "MergeSummary");
  for (int level = 0; level < 60; ++level) merge = Add("m", "MergeSummary", {merge, merge});
  EXPECT_EQ(ErrorOf(merge), "run: leaf is merged twice or into itself");
}

TEST_F(Evaluate, TakesAChainOfMergesOfAnyLength) {
  Output merge = Add("leaf", "MergeSummary");
  for (int level = 0; level < 200'000; ++level) merge = Add("m", "MergeSummary", {merge});
  EXPECT_TRUE(Run(merge).Values().empty());
}

// As TensorFlow writes a sample rate: AttrValue { tensor { dtype tensor_shape { } float_val } }.
TEST_F(Evaluate, TakesConstantsAsAFileHasThem) {
  const float samples[] = {0, 1};
  const Output clips = AddFed("clips", ConstTensorView(samples, DType::kFloat32, {1, 2}));
  const std::string attr("\x42\x0a\x08\x01\x12\x00\x2a\x04\x00\x44\x2c\x47", 12);  // 44100
  const Output rate = Add("rate", "Const", {}, {{"value", EncodedAttr{attr}}});
  const Output sound = Add("sound", "AudioSummaryV2", {AddText("sound/tag", "sound"), clips, rate});
  const std::vector<SummaryValue> values = Run(sound).Values();
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(std::get<AudioData>(values[0].value).sample_rate, 44100);
}

TEST_F(Evaluate, TheLastElementOfAConstantStandsForThoseLeftOut) {
  const auto shown = [&](const TensorValue& value) {
    const Output constant = Add("constant", "Const", {}, {{"value", value}});
    const Output tensor = Add("tensor", "TensorSummaryV2",
                              {AddText("tensor/tag", "t"), constant, AddText("metadata", "")});
    return std::get<TensorData>(Run(tensor).Values().at(0).value);
  };
  EXPECT_EQ(shown({.dtype = DType::kInt16, .shape = {4}, .ints = {1, -2}}).content,
            std::string("\x01\x00\xfe\xff\xfe\xff\xfe\xff", 8));
  EXPECT_EQ(shown({.dtype = DType::kUInt8, .shape = {2}}).content, std::string(2, '\0'));
  EXPECT_EQ(shown({.dtype = DType::kString, .shape = {2}, .strings = {"a"}}).strings,
            (std::vector<std::string>{"a", "a"}));
  const auto refused = [&](const TensorValue& value) {
    EXPECT_EQ(CodeOf([&] { shown(value); }), Code::kInvalidArgument);
  };
  refused({.dtype = DType::kUInt8, .shape = {1}, .content = "ab"});
  refused({.dtype = DType::kInt32, .shape = {1}, .content = "ab"});
  refused({.dtype = DType::kUInt8, .shape = {std::int64_t{1} << 40}});
  refused({.dtype = DType::kString, .shape = {-1}});
  refused({.dtype = DType::kVariant});
  refused({.dtype = DType::kComplex64});
  EXPECT_EQ(CodeOf([&] { Run(Add("m", "MergeSummary", {Add("c", "Const")})); }),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace waypost
