// Summaries of an accelerator's tensors: histograms are counted there where the device can, and
// copied to the host else, with the host's result either way; the host never reads that memory (the
// processor would stop the test).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <future>
#include <numeric>
#include <thread>

#include "base/bytes.h"
#include "base/units.h"
#include "graph/graph_model.h"
#include "manage/engine_impl.h"
#include "summary/real_values.h"
#include "support/expect_error.h"
#include "support/fake_device.h"
#include "support/sim_accelerator.h"
#include "support/sim_stream.h"
#include "waypost/session.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

Engine EngineWith(std::unique_ptr<Device> device) {
  EngineParts parts{.options = {.staging_bytes = 16 << 20}};
  parts.devices.push_back(std::move(device));
  return Engine(std::make_unique<Engine::Impl>(std::move(parts)));
}

HistogramData RunHistogram(Engine& engine, const ConstTensorView& tensor,
                           const RunOptions& options = {}) {
  Graph graph;
  const Session session(engine, graph);
  const Output value = graph.AddPlaceholder("value", tensor.dtype(), tensor.shape());
  const Output histogram = summary::Histogram(graph, "h", value);
  const Summary result = session.Run(histogram, {{value, tensor}}, options);
  return std::get<HistogramData>(DecodeSummary(AsBytes(result.Serialize())).value().at(0).value);
}

void ExpectSame(const HistogramData& data, const HistogramData& expected) {
  EXPECT_EQ(data.min, expected.min);
  EXPECT_EQ(data.max, expected.max);
  EXPECT_EQ(data.num, expected.num);
  EXPECT_EQ(data.sum, expected.sum);
  EXPECT_EQ(data.sum_squares, expected.sum_squares);
  EXPECT_EQ(data.bucket_limit, expected.bucket_limit);
  EXPECT_EQ(data.bucket, expected.bucket);
}

// Whether the device counts.
class SessionOnAccelerator : public testing::TestWithParam<bool> {
 protected:
  ConstTensorView OnAccelerator(const ConstTensorView& tensor) {
    const auto* const bytes = static_cast<const std::byte*>(tensor.data());
    memory_.push_back(accelerator_.Allocate(tensor.size_bytes()));
    accelerator_.Write(memory_.back().get(), {bytes, tensor.size_bytes()});
    return {memory_.back().get(), tensor.dtype(), tensor.shape()};
  }

  SimAccelerator accelerator_{{.counts = GetParam()}};
  std::vector<SimAccelerator::Memory> memory_;
  Engine engine_ = EngineWith(accelerator_.MakeDevice());
};

INSTANTIATE_TEST_SUITE_P(All, SessionOnAccelerator, testing::Bool(),
                         [](const auto& counts) { return counts.param ? "Counts" : "Copies"; });

TEST_P(SessionOnAccelerator, HistogramsOfEveryRealDTypeAreTheHosts) {
  for (int number = 0; number <= 33; ++number) {
    const auto dtype = static_cast<DType>(number);
    if (!IsRealDType(dtype)) continue;
    SCOPED_TRACE(DTypeName(dtype));
    std::vector<std::byte> content;
    for (int i = 0; i < 600; ++i) {
      const auto element = EncodeReal(i % 100, dtype);
      content.insert(content.end(), element.begin(),
                     element.begin() + static_cast<std::ptrdiff_t>(ElementBytes(dtype)));
    }
    const ConstTensorView host(content.data(), dtype, {20, 30});
    ExpectSame(RunHistogram(engine_, OnAccelerator(host)), RunHistogram(engine_, host));
  }
}

TEST_P(SessionOnAccelerator, HistogramsMayBeLargerThanAWindowOrEmpty) {
  std::vector<double> values(kWindowBytes / sizeof(double) + 1001);
  std::iota(values.begin(), values.end(), -1e5);
  const ConstTensorView host(values.data(), DType::kFloat64,
                             {static_cast<std::int64_t>(values.size())});
  ExpectSame(RunHistogram(engine_, OnAccelerator(host)), RunHistogram(engine_, host));
  const SimAccelerator::Memory memory = accelerator_.Allocate(8);
  EXPECT_EQ(RunHistogram(engine_, ConstTensorView(memory.get(), DType::kFloat64, {0})).num, 0);
}

TEST_P(SessionOnAccelerator, NaNAndInfinityAreErrorsThatNameTheTag) {
  std::vector<float> values(kWindowBytes / sizeof(float) + 10, 1.0F);
  const auto message = [&] {
    const ConstTensorView host(values.data(), DType::kFloat32,
                               {static_cast<std::int64_t>(values.size())});
    const ConstTensorView tensor = OnAccelerator(host);
    EXPECT_EQ(CodeOf([&] { RunHistogram(engine_, tensor); }), Code::kInvalidArgument);
    return MessageOf([&] { RunHistogram(engine_, tensor); });
  };
  values.back() = HUGE_VALF;
  EXPECT_EQ(message(), "histogram 'h': a value is infinite");
  values[3] = std::nanf("");
  EXPECT_EQ(message(), "histogram 'h': a value is NaN");
}

TEST_P(SessionOnAccelerator, ShowsWhatTheCallersStreamLeaves) {
  const std::vector<float> before(100);
  const std::vector<float> after(100, 2.5F);
  const ConstTensorView tensor =
      OnAccelerator(ConstTensorView(before.data(), DType::kFloat32, {100}));
  std::promise<void> gate;
  SimStream stream(accelerator_);
  stream.Run([&, opened = gate.get_future().share()] {
    opened.wait();
    accelerator_.Write(memory_.back().get(), std::as_bytes(std::span(after)));
  });
  auto data = std::async(std::launch::async,
                         [&] { return RunHistogram(engine_, tensor, {.stream = &stream}); });
  // Until it waits for the stream, or has wrongly ended.
  while (accelerator_.unwaited_tickets() == 0 &&
         data.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    std::this_thread::yield();
  }
  gate.set_value();
  EXPECT_EQ(data.get().sum, 250);
  EXPECT_EQ(accelerator_.unreleased_marks(), 0U);
}

TEST_P(SessionOnAccelerator, ShowsVariablesAndScalars) {
  Graph graph;
  Session session(engine_, graph);
  const std::vector<float> values = {1, 2, 4};
  const std::int64_t step = 77;
  const Variable kernel = graph.AddVariable("kernel", {.shape = {3}});
  const ConstTensorView on_accelerator =
      OnAccelerator(ConstTensorView(values.data(), DType::kFloat32, {3}));
  session.Bind(kernel, TensorView(const_cast<void*>(on_accelerator.data()), DType::kFloat32, {3}));
  const Output count = graph.AddPlaceholder("count", DType::kInt64, {});
  summary::Histogram(graph, "kernel", kernel.output());
  summary::Scalar(graph, "count", count);
  const Summary result =
      session.Run(summary::MergeAll(graph),
                  {{count, OnAccelerator(ConstTensorView(&step, DType::kInt64, {}))}});
  const auto shown = DecodeSummary(AsBytes(result.Serialize())).value();
  EXPECT_EQ(std::get<HistogramData>(shown.at(0).value).sum, 7);
  EXPECT_EQ(std::get<float>(shown.at(1).value), 77);
}

TEST_P(SessionOnAccelerator, ShowsImagesAudioAndTensors) {
  Graph graph;
  Session session(engine_, graph);
  const std::vector<std::uint8_t> pixels = {1, 2, 3, 4, 5, 6};
  const std::vector<float> samples = {0.5F, -0.5F, 0.25F, 1};
  const Output images = graph.AddPlaceholder("images", DType::kUInt8, {3, 1, 2, 1});
  const Output clips = graph.AddPlaceholder("clips", DType::kFloat32, {2, 2});
  summary::Image(graph, "i", images);
  summary::Audio(graph, "a", clips, 8000);
  summary::TensorSummary(graph, "t", clips);
  const Output merged = summary::MergeAll(graph);
  const ConstTensorView host_pixels(pixels.data(), DType::kUInt8, {3, 1, 2, 1});
  const ConstTensorView host_samples(samples.data(), DType::kFloat32, {2, 2});
  EXPECT_EQ(
      session
          .Run(merged, {{images, OnAccelerator(host_pixels)}, {clips, OnAccelerator(host_samples)}})
          .Serialize(),
      session.Run(merged, {{images, host_pixels}, {clips, host_samples}}).Serialize());
  EXPECT_EQ(accelerator_.unreleased_marks(), 0U);
}

TEST_P(SessionOnAccelerator, ALostDeviceIsAnError) {
  const std::vector<float> values(100);
  const ConstTensorView tensor =
      OnAccelerator(ConstTensorView(values.data(), DType::kFloat32, {100}));
  accelerator_.LoseAtCopy(0);
  EXPECT_EQ(CodeOf([&] { RunHistogram(engine_, tensor); }), Code::kUnavailable);
  EXPECT_EQ(accelerator_.unreleased_marks(), 0U);
  EXPECT_EQ(accelerator_.unwaited_tickets(), 0U);
}

// Its own address is its memory and the caller's stream.  Any copy stops the test.
class CountingDevice final : public FakeDevice {
 public:
  std::string_view name() const noexcept override { return "counting"; }
  bool Owns(const void* address) const noexcept override { return address == this; }
  Mark MarkStream(void* stream) override { return stream == this ? 5 : 0; }
  std::optional<Ticket> StartHistogram(const ConstTensorView& tensor, HistogramTotals& totals,
                                       Mark behind) override {
    EXPECT_EQ(behind, 5U);
    totals = {.min = 3,
              .max = 3,
              .sum = 3.0 * static_cast<double>(tensor.element_count()),
              .sum_squares = 0,
              .first_not_finite = HistogramTotals::kAllFinite,
              .counts = {static_cast<std::uint64_t>(tensor.element_count())}};
    return 1;
  }
};

TEST(SessionOnCountingDevice, NothingIsCopiedToTheHostAndAllIsBehindTheStream) {
  auto device = std::make_unique<CountingDevice>();
  CountingDevice* const memory = device.get();
  Engine engine = EngineWith(std::move(device));
  const HistogramData data =
      RunHistogram(engine, ConstTensorView(memory, DType::kFloat32, {1000}), {.stream = memory});
  EXPECT_EQ(data.num, 1000);
  EXPECT_EQ(data.sum, 3000);
}

}  // namespace
}  // namespace waypost
