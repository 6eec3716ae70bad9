// What summaries made by hand show: TensorFlow's bytes of the same values (taken from its own
// operations), pixels scaled by its arithmetic, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "summary/media_files.h"
#include "summary/pixels.h"
#include "support/expect_error.h"
#include "waypost/summary.h"

namespace waypost {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::string_literals;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<int> Scaled(const std::vector<float>& values, std::int64_t channels = 1) {
  const auto count = static_cast<std::int64_t>(values.size()) / channels;
  const std::vector<std::uint8_t> bytes =
      PixelBytes(ConstTensorView(values.data(), DType::kFloat32, {1, count, channels}));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::uint8_t> DecodedPng(const std::string& file, png_uint_32 format) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, file.data(), file.size()) == 0) return {};
  EXPECT_EQ(image.format & (PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA), format);
  image.format = format;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  EXPECT_NE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr), 0) << image.message;
  return pixels;
}

TEST(Pixels, OfPositiveNumbersTheLargestIs255) {
  EXPECT_THAT(Scaled({0, 1, 2, 4}), ElementsAre(0, 63, 127, 255));
  EXPECT_THAT(Scaled({0.25F, 0.5F}), ElementsAre(127, 255));
}

TEST(Pixels, WithNegativeNumbersZeroIs128) {
  EXPECT_THAT(Scaled({-1, 0, 1}), ElementsAre(1, 128, 255));
  EXPECT_THAT(Scaled({-2, 0, 1}), ElementsAre(1, 128, 191));
  EXPECT_THAT(Scaled({-3}), ElementsAre(1));
}

TEST(Pixels, ThatAreNearlyZeroAreBlack) {
  EXPECT_THAT(Scaled({0, 0}), ElementsAre(0, 0));
  EXPECT_THAT(Scaled({9e-7F}), ElementsAre(0));
  EXPECT_THAT(Scaled({-9e-7F, 0}), ElementsAre(128, 128));
  EXPECT_THAT(Scaled({2e-6F}), ElementsAre(255));
}

TEST(Pixels, ThatAreNotFiniteAreBadAndDoNotCount) {
  EXPECT_THAT(Scaled({kNan, 1, kInf, 2}), ElementsAre(255, 127, 255, 255));
  EXPECT_THAT(Scaled({1, 2, 4, kNan, 100, 100}, 3), ElementsAre(63, 127, 255, 255, 0, 0));
  EXPECT_THAT(Scaled({1, 1, 1, -kInf}, 4), ElementsAre(255, 0, 0, 255));
}

TEST(Pixels, OfBytesStayAsTheyAre) {
  const std::vector<std::uint8_t> bytes = {0, 7, 255};
  EXPECT_EQ(PixelBytes(ConstTensorView(bytes.data(), DType::kUInt8, {3, 1, 1})), bytes);
}

TEST(EncodePng, KeepsEveryPixel) {
  for (const std::uint32_t channels : {1U, 3U, 4U}) {
    std::vector<std::uint8_t> pixels(std::size_t{5} * 7 * channels);
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37);
    const png_uint_32 format = channels == 1   ? PNG_FORMAT_GRAY
                               : channels == 3 ? PNG_FORMAT_RGB
                                               : PNG_FORMAT_RGBA;
    const std::string file = EncodePng({.height = 5, .width = 7, .channels = channels}, pixels);
    EXPECT_EQ(DecodedPng(file, format), pixels) << channels;
  }
}

TEST(EncodePng, RefusesASideOfMoreThanAMillionPixels) {
  const std::vector<std::uint8_t> pixels(1'000'001);
  EXPECT_EQ(CodeOf([&] { EncodePng({.height = 1, .width = 1'000'001}, pixels); }),
            Code::kInvalidArgument);
}

TEST(EncodeWav, HasTensorFlowsBytes) {
  const std::vector<float> samples = {0,     1,      -1,      .5F,      2,   -2,
                                      1e-5F, -1e-5F, .99999F, -.99999F, .3F, kNan};
  EXPECT_EQ(EncodeWav({.sample_rate = 16000, .channels = 1}, samples),
            "RIFF\x3c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00"
            "\x02\x00\x10\x00"
            "data\x18\x00\x00\x00\x00\x00\xff\x7f\x00\x80\x00@\xff\x7f\x00\x80\x00\x00\x00\x00"
            "\xff\x7f\x00\x80\x66&\x00\x00"s);
}

TEST(SummaryByHand, HasTensorFlowsBytes) {
  Summary summary;
  summary.AddScalar("x", 1.5F);
  EXPECT_EQ(summary.Serialize(), "\x0a\x08\x0a\x01x\x15\x00\x00\xc0\x3f"s);

  Summary text;
  text.AddText("t", "x");
  EXPECT_EQ(text.Serialize(),
            "\x0a\x16\x0a\x01tB\x07\x08\x07\x12\x00"
            "B\x01xJ\x08\x0a\x06\x0a\x04text"s);

  const std::vector<float> numbers = {1, 2, 3};
  Summary tensor;
  tensor.AddTensor("t_float32", ConstTensorView(numbers.data(), DType::kFloat32, {3}));
  EXPECT_EQ(tensor.Serialize(),
            "\x0a%\x0a\x09t_float32B\x16\x08\x01\x12\x04\x12\x02\x08\x03\"\x0c\x00\x00\x80?\x00\x00"
            "\x00@\x00\x00@@J\x00"s);

  Summary described;
  const float two = 2;
  described.AddTensor("t_md", ConstTensorView(&two, DType::kFloat32, {}),
                      {.plugin_name = "pp",
                       .plugin_content = "cc",
                       .display_name = "x",
                       .summary_description = "md"});
  EXPECT_EQ(described.Serialize(),
            "\x0a%\x0a\x04t_mdB\x0a\x08\x01\x12\x00\"\x04\x00\x00\x00@J\x11\x0a\x08\x0a\x02pp\x12"
            "\x02"
            "cc\x12\x01x\x1a\x02md"s);

  const std::vector<float> samples = {0, 1, -1, .5F};
  Summary audio;
  audio.AddAudio("a", ConstTensorView(samples.data(), DType::kFloat32, {2, 2}), 16000.7F);
  EXPECT_EQ(audio.Serialize(),
            "\x0aO\x0a\x01"
            "a2J\x0d\xcd\x02zF\x10\x02\x18\x02\"4RIFF,\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00"
            "\x02\x00\x81>\x00\x00\x04\xfa\x00\x00\x04\x00\x10\x00"
            "data\x08\x00\x00\x00\x00\x00\xff\x7f\x00\x80\x00@*\x09"
            "audio/wav"s);
}

TEST(SummaryByHand, RoundsSampleRatesAsTensorFlow) {
  const float sample = 0;
  const ConstTensorView clip(&sample, DType::kFloat32, {1, 1});
  const std::vector<std::pair<float, std::uint32_t>> cases = {{0.1F, 1},
                                                              {0.5F, 1},
                                                              {1.5F, 2},
                                                              {2.5F, 2},
                                                              {44100.5F, 44100},
                                                              {44101.5F, 44102},
                                                              {4294967000.F, 4294967040U}};
  for (const auto& [rate, expected] : cases) {
    Summary summary;
    summary.AddAudio("a", clip, rate);
    const auto audio = std::get<AudioData>(summary.Values().at(0).value);
    std::uint32_t in_file = 0;
    std::memcpy(&in_file, audio.encoded.data() + 24, sizeof in_file);
    EXPECT_EQ(in_file, expected);
    EXPECT_EQ(audio.sample_rate, rate) << "the message has it as it is";
  }
}

TEST(EncodeWav, HasTheLowBitsOfWhatIsTooWide) {
  const std::vector<float> frame(32768);
  const std::string file = EncodeWav({.sample_rate = 8000, .channels = 32768}, frame);
  EXPECT_EQ(file.substr(22, 12), "\x00\x80\x40\x1f\x00\x00\x00\x00\x40\x1f\x00\x00"s);
}

TEST(SummaryByHand, HoldsWhatWasAddedInOrder) {
  const std::vector<std::uint8_t> pixels = {1, 2, 3, 4, 5, 6};
  const std::vector<double> numbers = {1, 2, 4};
  Summary summary;
  summary.AddImage("image", ConstTensorView(pixels.data(), DType::kUInt8, {1, 2, 3}));
  summary.AddHistogram("histogram", ConstTensorView(numbers.data(), DType::kFloat64, {3}));
  summary.AddScalar("image", 2);
  const std::vector<SummaryValue> values = Summary::Parse(summary.Serialize()).Values();
  ASSERT_EQ(values.size(), 3U);
  const auto& image = std::get<ImageData>(values[0].value);
  EXPECT_EQ(values[0].tag, "image");
  EXPECT_EQ(image.height, 1);
  EXPECT_EQ(image.width, 2);
  EXPECT_EQ(image.colorspace, 3);
  EXPECT_EQ(DecodedPng(image.encoded, PNG_FORMAT_RGB), pixels);
  EXPECT_EQ(std::get<HistogramData>(values[1].value).sum, 7);
  EXPECT_EQ(values[2].Scalar(), 2.0F) << "tags may repeat";
}

TEST(SummaryByHand, RefusesWhatCannotBeShownAndStaysAsItWas) {
  const std::vector<float> numbers(24, kNan);
  const auto floats = [&](Shape shape) {
    return ConstTensorView(numbers.data(), DType::kFloat32, std::move(shape));
  };
  Summary summary;
  summary.AddScalar("kept", 1);
  const std::string before = summary.Serialize();
  const auto expect_refused = [&](auto add) {
    EXPECT_EQ(CodeOf(add), Code::kInvalidArgument);
    EXPECT_EQ(summary.Serialize(), before);
  };
  const float rate = 8000;
  expect_refused([&] { summary.AddScalar("\xff", 1); });
  expect_refused([&] { summary.AddHistogram("h", floats({24})); });
  expect_refused(
      [&] { summary.AddHistogram("h", ConstTensorView(numbers.data(), DType::kBool, {4})); });
  expect_refused([&] { summary.AddImage("i", floats({2, 2, 2})); });
  expect_refused([&] { summary.AddImage("i", floats({2, 2})); });
  expect_refused([&] { summary.AddImage("i", floats({0, 2, 3})); });
  expect_refused([&] {
    summary.AddImage("i", ConstTensorView(numbers.data(), DType::kInt32, {2, 2, 1}));
  });
  expect_refused([&] { summary.AddAudio("a", floats({24}), rate); });
  expect_refused([&] { summary.AddAudio("a", floats({2, 0}), rate); });
  expect_refused([&] { summary.AddAudio("a", floats({0, 65536}), rate); });
  for (const float bad : {0.0F, -5.0F, 0x1p32F, kNan, kInf}) {
    expect_refused([&] { summary.AddAudio("a", floats({24, 1}), bad); });
  }
  expect_refused([&] { summary.AddTensor("t", floats({24}), {.display_name = "\xff"}); });
  EXPECT_THAT(MessageOf([&] { summary.AddImage("i", floats({2, 2, 2})); }), HasSubstr("'i'"));
}

}  // namespace
}  // namespace waypost
