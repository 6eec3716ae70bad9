// Event messages have TensorFlow's bytes and come back as they were; whatever else is given to the
// decoders is refused or read as something harmless.  tests/summary/golden_events_test.cc has real
// files.
#include "wire/event_messages.h"
#include "wire/summary_messages.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>

#include "base/bytes.h"
#include "support/seed.h"

namespace waypost {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string DoubleBytes(std::initializer_list<double> values) {
  std::string bytes;
  for (const double value : values) AppendFixed(bytes, value);
  return bytes;
}

// By fmt: GCC 12 sees overlaps in optimized concatenations where there are none.
std::string Join(std::initializer_list<std::string_view> parts) {
  return fmt::format("{}", fmt::join(parts, ""));
}

std::string LengthByte(std::string_view text) {
  return std::string(1, static_cast<char>(text.size()));
}

TEST(EventMessages, AScalarEventHasTensorFlowsBytes) {
  const std::vector<SummaryValue> values = {{.tag = "x", .value = 1.5F}};
  const std::string summary = EncodeSummary(values);
  const std::string event =
      EncodeEvent({.wall_time = 12.25, .step = 3, .kind = EventKind::kSummary, .payload = summary});
  EXPECT_EQ(event, Join({"\x09", DoubleBytes({12.25}),
                         "\x10\x03\x2a\x0a\x0a\x08\x0a\x01x\x15\x00\x00\xc0\x3f"sv}));
}

TEST(EventMessages, TheFileVersionHasTensorFlowsBytes) {
  const std::string event = EncodeEvent({.wall_time = 1795441380.0,
                                         .kind = EventKind::kFileVersion,
                                         .payload = "brain.Event:2",
                                         .writer = "tensorflow.core.util.events_writer"});
  EXPECT_EQ(event, Join({"\x09", DoubleBytes({1795441380.0}),
                         "\x1a\x0d"
                         "brain.Event:2\x52\x24\x0a\x22tensorflow.core.util.events_writer"}));
}

TEST(EventMessages, AHistogramOfOneZeroHasTensorFlowsBytes) {
  const double max = std::numeric_limits<double>::max();
  const HistogramData histogram = {
      .num = 1, .bucket_limit = {0.0, 1e-12, max}, .bucket = {0, 1, 0}};
  const std::vector<SummaryValue> values = {{.tag = "h", .value = histogram}};
  const std::string value = "\x0a\x01h\x2a\x3d\x19" + DoubleBytes({1.0}) + "\x32\x18" +
                            DoubleBytes({0.0, 1e-12, max}) + "\x3a\x18" + DoubleBytes({0, 1, 0});
  EXPECT_EQ(EncodeSummary(values), "\x0a\x42" + value);
}

TEST(EventMessages, DefaultsAreLeftOutButAValueIsNot) {
  EXPECT_EQ(EncodeEvent({}), "");
  const std::vector<SummaryValue> zero = {{.tag = "", .value = 0.0F}};
  EXPECT_EQ(EncodeSummary(zero), "\x0a\x05\x15\x00\x00\x00\x00"s);
  EXPECT_EQ(EncodeSummary({}), "");
  EXPECT_EQ(EncodeSessionLog({}), "");
  EXPECT_EQ(EncodeSessionLog({.status = SessionStatus::kStart}), "\x08\x01");
}

TEST(EventMessages, NumbersKeepTheirBits) {
  const std::vector<float> floats = {-0.0F, std::numeric_limits<float>::denorm_min(),
                                     std::numeric_limits<float>::infinity(),
                                     std::bit_cast<float>(0x7FC12345U)};
  for (const float number : floats) {
    const std::vector<SummaryValue> values = {{.tag = "t", .value = number}};
    const auto decoded = DecodeSummary(AsBytes(EncodeSummary(values)));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(std::get<float>(decoded->at(0).value)),
              std::bit_cast<std::uint32_t>(number));
  }
  const HistogramData histogram = {.min = -0.0, .max = kInfinity, .bucket_limit = {}, .bucket = {}};
  const std::vector<SummaryValue> values = {{.tag = "t", .value = histogram}};
  const auto decoded = DecodeSummary(AsBytes(EncodeSummary(values)));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(std::signbit(std::get<HistogramData>(decoded->at(0).value).min));
}

TEST(EventMessages, EventsComeBackAsTheyWere) {
  std::mt19937_64 random(TestSeed());
  for (const EventKind kind : {EventKind::kNone, EventKind::kFileVersion, EventKind::kGraphDef,
                               EventKind::kSummary, EventKind::kLogMessage, EventKind::kSessionLog,
                               EventKind::kTaggedRunMetadata, EventKind::kMetaGraphDef}) {
    const std::string payload = kind == EventKind::kNone ? "" : std::string(random() % 300, 'p');
    const EventMessage event = {.wall_time = static_cast<double>(random()) / 3,
                                .step = static_cast<std::int64_t>(random()),
                                .kind = kind,
                                .payload = payload,
                                .writer = "w"};
    const std::string bytes = EncodeEvent(event);
    const std::optional<EventMessage> decoded = DecodeEvent(AsBytes(bytes));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->wall_time, event.wall_time);
    EXPECT_EQ(decoded->step, event.step);
    EXPECT_EQ(decoded->kind, kind);
    EXPECT_EQ(decoded->payload, payload);
    EXPECT_EQ(decoded->writer, "w");
  }
}

TEST(EventMessages, ASessionLogComesBackAsItWas) {
  const SessionLog log = {
      .status = SessionStatus::kCheckpoint, .checkpoint_path = "/data/m-1", .message = "saved"};
  const auto decoded = DecodeSessionLog(AsBytes(EncodeSessionLog(log)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->status, SessionStatus::kCheckpoint);
  EXPECT_EQ(decoded->checkpoint_path, "/data/m-1");
  EXPECT_EQ(decoded->message, "saved");
}

TEST(EventMessages, ReadsBucketsThatAreNotPackedAndSkipsWhatItDoesNotKnow) {
  // histo { bucket_limit: 2.0 (unpacked), field 15: varint }, field 14: bytes "z"
  const std::string histogram = Join({"\x31", DoubleBytes({2.0}), "\x78\x05"});
  const std::string value = Join({"\x2a", LengthByte(histogram), histogram, "\x72\x01z"});
  const std::string summary = Join({"\x0a", LengthByte(value), value});
  const auto decoded = DecodeSummary(AsBytes(summary));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<HistogramData>(decoded->at(0).value).bucket_limit, std::vector<double>{2.0});
}

TEST(EventMessages, NamesTheKindsThatItDoesNotLookInto) {
  const auto kind_of = [](const std::string& value) {
    const auto decoded = DecodeSummary(AsBytes(Join({"\x0a", LengthByte(value), value})));
    return decoded ? SummaryValueKind(decoded->at(0)) : "refused";
  };
  EXPECT_EQ(kind_of("\x22\x00"s), "image");
  EXPECT_EQ(kind_of("\x32\x00"s), "audio");
  EXPECT_EQ(kind_of("\x42\x00"s), "tensor");
  EXPECT_EQ(kind_of("\x1a\x00"s), "obsolete_old_style_histogram");
  EXPECT_EQ(kind_of("\x2a\x00"s), "histo");
  EXPECT_EQ(kind_of("\x15\x00\x00\x00\x00"s), "simple_value");
  EXPECT_EQ(kind_of("\x0a\x01t"), "none");
}

TEST(EventMessages, RefusesWhatIsNoMessage) {
  EXPECT_FALSE(DecodeEvent(AsBytes("\x09\x00\x00"s))) << "a cut double";
  EXPECT_FALSE(DecodeEvent(AsBytes("\x22\x7f"s))) << "a length beyond the end";
  EXPECT_FALSE(DecodeEvent(AsBytes("\x1a\x01\xff"s))) << "a version that is not UTF-8";
  EXPECT_FALSE(DecodeEvent(AsBytes("\x00\x00"s))) << "field 0";
  EXPECT_FALSE(DecodeSummary(AsBytes("\x0a\x03\x0a\x01\xff"s))) << "a tag that is not UTF-8";
  EXPECT_FALSE(DecodeSummary(AsBytes("\x0a\x06\x2a\x04\x32\x02\x00\x00"s)))
      << "a third of a double";
  EXPECT_FALSE(DecodeSummary(AsBytes("\x0a"s)));
  EXPECT_FALSE(DecodeSessionLog(AsBytes("\x08"s)));
  std::string too_many;
  for (int i = 0; i <= 1 << 18; ++i) too_many += "\x0a\x00"s;
  EXPECT_FALSE(DecodeSummary(AsBytes(too_many))) << "more values than memory should be spent on";
}

TEST(EventMessages, AnyChangedByteIsReadOrRefusedWithoutHarm) {
  const std::vector<SummaryValue> values = {
      {.tag = "loss", .value = 1.0F},
      {.tag = "h", .value = HistogramData{.bucket_limit = {1, 2}, .bucket = {3, 4}}}};
  const std::string summary = EncodeSummary(values);
  const std::string event =
      EncodeEvent({.wall_time = 1, .step = 2, .kind = EventKind::kSummary, .payload = summary});
  for (std::size_t position = 0; position < event.size(); ++position) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = event;
      damaged[position] = static_cast<char>(damaged[position] ^ (1 << bit));
      const std::optional<EventMessage> decoded = DecodeEvent(AsBytes(damaged));
      if (decoded) DecodeSummary(AsBytes(decoded->payload));
    }
    DecodeEvent(AsBytes(event.substr(0, position)));
  }
}

}  // namespace
}  // namespace waypost
