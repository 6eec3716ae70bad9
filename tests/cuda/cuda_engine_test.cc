// Saves and restores of tensors in GPU memory by whole engines: bit-equal whatever the dtype, size
// and way of staging, by many streams and engines at once, cancelled and failing under load.  And
// histograms of them.
//
// One source for two programs: on real GPUs, and over the fake runtime on every machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <future>
#include <random>
#include <thread>

#include "base/bytes.h"
#include "base/units.h"
#include "cuda/gpu.h"
#include "manage/engine_impl.h"
#include "support/expect_error.h"
#include "support/faulty_file_system.h"
#include "support/gated_file_system.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"
#include "waypost/session.h"
#include "wire/summary_messages.h"

namespace waypost {
namespace {

using ::testing::IsEmpty;

// A host state, and the same tensors in GPU memory, spread over the devices; strings stay on the
// host.
class GpuState {
 public:
  GpuState(Gpu& gpu, TensorSet host)
      : gpu_(gpu), host_(std::move(host)), tensors_(host_.tensors()) {
    int ordinal = 0;
    for (NamedTensor& tensor : tensors_) {
      if (tensor.tensor.dtype() == DType::kString) continue;
      std::byte* const memory =
          gpu.Allocate(ordinal, std::max<std::size_t>(tensor.tensor.size_bytes(), 1));
      tensor.tensor = TensorView(memory, tensor.tensor.dtype(), tensor.tensor.shape());
      ordinal = (ordinal + 1) % gpu.device_count();
    }
    WriteHost();
  }

  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const TensorSet& host() const { return host_; }
  void WriteHost() {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (IsOnGpu(i)) gpu_.Write(Data(i), AsBytes(host_.Content(i)));
    }
  }
  // The GPU's content as a host state.
  TensorSet Read() const {
    TensorSet copy = host_.Copy();
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (IsOnGpu(i)) {
        copy.SetContent(i, AsText(gpu_.Read(Data(i), tensors_[i].tensor.size_bytes())));
      }
    }
    return copy;
  }

 private:
  bool IsOnGpu(std::size_t i) const {
    return tensors_[i].tensor.dtype() != DType::kString && tensors_[i].tensor.size_bytes() > 0;
  }
  std::byte* Data(std::size_t i) const {
    return static_cast<std::byte*>(tensors_[i].tensor.data());
  }

  Gpu& gpu_;
  TensorSet host_;
  std::vector<NamedTensor> tensors_;
};

class CudaEngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why_none = Gpu::WhyNone();
    if (!why_none.empty()) GTEST_SKIP() << why_none;
    gpu_ = Gpu::Make();
  }

  Engine MakeEngine(FileSystem& fs = PosixFileSystem()) {
    return Engine(std::make_unique<Engine::Impl>(
        EngineParts{.options = TestEngineOptions(), .fs = fs, .devices = gpu_->MakeDevices()}));
  }
  // A state with some thousand small tensors, a few of a window, and one of several.
  TensorSet MixedState() {
    TensorSet state(TensorSet::kHost);
    for (int i = 0; i < 2000; ++i) {
      state.Add("small/" + std::to_string(i), DType::kUInt8,
                {static_cast<std::int64_t>(1 + random_() % 3000)}, random_);
    }
    for (int i = 0; i < 5; ++i) {
      state.Add("large/" + std::to_string(i), DType::kUInt8,
                {static_cast<std::int64_t>(random_() % (2 * kWindowBytes))}, random_);
    }
    state.Add("huge", DType::kUInt8, {5 * std::int64_t{kWindowBytes} + 3}, random_);
    return state;
  }
  // What the checkpoint holds, as host tensors like those of `state`.
  TensorSet Restored(const std::string& prefix, const TensorSet& state) {
    TensorSet restored = state.BlankOn(TensorSet::kHost);
    Engine engine = TestEngine();
    Restore(engine, prefix, restored.tensors());
    return restored;
  }

  std::mt19937_64 random_{TestSeed()};
  TempDir dir_;
  std::string prefix_ = dir_.File("m");
  std::unique_ptr<Gpu> gpu_;
};

TEST_F(CudaEngineTest, RoundTripsEveryDType) {
  TensorSet rich(TensorSet::kHost);
  const TensorSet source = MakeRichState(random_());
  for (const NamedTensor& tensor : source.tensors()) {
    if (tensor.tensor.dtype() == DType::kString) {
      rich.AddStrings(tensor.name, tensor.tensor.shape(),
                      std::vector<std::string>(
                          static_cast<std::size_t>(tensor.tensor.element_count()), "text"));
    } else {
      rich.Add(tensor.name, tensor.tensor.dtype(), tensor.tensor.shape(), random_);
    }
  }
  GpuState state(*gpu_, std::move(rich));
  Engine engine = MakeEngine();
  SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
  EXPECT_THAT(state.host().Differences(Restored(prefix_, state.host())), IsEmpty());
  const GpuState target(*gpu_, state.host().BlankOn(TensorSet::kHost));
  Restore(engine, prefix_, target.tensors());
  EXPECT_THAT(state.host().Differences(target.Read()), IsEmpty());
}

TEST_F(CudaEngineTest, RoundTripsManySmallTensorsByEveryStaging) {
  const GpuState state(*gpu_, MixedState());
  Engine engine = MakeEngine();
  for (const Staging staging : {Staging::kLazy, Staging::kFullCopy, Staging::kDeviceCopy}) {
    SCOPED_TRACE(static_cast<int>(staging));
    SaveAsync(engine, prefix_, state.tensors(), {.staging = staging}).WaitFinished();
    EXPECT_THAT(state.host().Differences(Restored(prefix_, state.host())), IsEmpty());
    const GpuState target(*gpu_, state.host().BlankOn(TensorSet::kHost));
    Restore(engine, prefix_, target.tensors(),
            {.restore_sequentially = staging == Staging::kFullCopy});
    EXPECT_THAT(state.host().Differences(target.Read()), IsEmpty());
  }
}

TEST_F(CudaEngineTest, RoundTripsManagedMemoryAndPageLockedMemoryOfTheHost) {
  constexpr std::size_t kBytes = 100'000;
  const std::vector<std::byte> content = [&] {
    std::vector<std::byte> bytes(2 * kBytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    return bytes;
  }();
  const auto make = [&](std::span<const std::byte> bytes) {
    std::vector<NamedTensor> tensors;
    for (std::byte* const memory : {gpu_->AllocateManaged(kBytes), gpu_->AllocatePinned(kBytes)}) {
      gpu_->Write(memory, bytes.subspan(tensors.size() * kBytes, kBytes));
      tensors.push_back({.name = "t" + std::to_string(tensors.size()),
                         .tensor = TensorView(memory, DType::kUInt8, {kBytes})});
    }
    return tensors;
  };
  const std::vector<NamedTensor> state = make(content);
  Engine engine = MakeEngine();
  SaveAsync(engine, prefix_, state).WaitFinished();
  const std::vector<NamedTensor> restored = make(std::vector<std::byte>(2 * kBytes));
  Restore(engine, prefix_, restored);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(
        std::ranges::equal(gpu_->Read(static_cast<std::byte*>(restored[i].tensor.data()), kBytes),
                           std::span(content).subspan(i * kBytes, kBytes)));
  }
}

TEST_F(CudaEngineTest, SavesWhatEachOfManyStreamsLeaves) {
  Engine engine = MakeEngine();
  GpuState state(*gpu_, MixedState());
  const std::size_t size = state.tensors().back().tensor.size_bytes();
  auto* const huge = static_cast<std::byte*>(state.tensors().back().tensor.data());
  for (int step = 0; step < 6; ++step) {
    void* const stream = gpu_->MakeStream(step % gpu_->device_count());
    std::promise<void> gate;
    gpu_->RunOnStream(stream, [opened = gate.get_future().share()] { opened.wait(); });
    gpu_->WriteOnStream(stream, huge, std::vector<std::byte>(size, static_cast<std::byte>(step)));
    SaveHandle save = SaveAsync(
        engine, prefix_, state.tensors(),
        {.stream = stream, .staging = step % 2 == 0 ? Staging::kLazy : Staging::kDeviceCopy});
    gate.set_value();
    save.WaitStaged();
    gpu_->Write(huge, std::vector<std::byte>(size, std::byte{0xEE}));  // may change now
    save.WaitFinished();
    const TensorSet restored = Restored(prefix_, state.host());
    EXPECT_EQ(restored.Content(state.tensors().size() - 1),
              std::string(size, static_cast<char>(step)));
  }
}

TEST_F(CudaEngineTest, ServesTwoEnginesAtOnce) {
  std::vector<std::unique_ptr<GpuState>> states;
  std::vector<std::unique_ptr<GpuState>> targets;
  for (int i = 0; i < 2; ++i) {
    states.push_back(std::make_unique<GpuState>(*gpu_, MixedState()));
    targets.push_back(
        std::make_unique<GpuState>(*gpu_, states.back()->host().BlankOn(TensorSet::kHost)));
  }
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        Engine engine = MakeEngine();
        const std::string prefix = prefix_ + std::to_string(i);
        for (int round = 0; round < 3; ++round) {
          SaveHandle save = SaveAsync(engine, prefix, states[i]->tensors());
          if (round > 0) Restore(engine, prefix, targets[i]->tensors());
          save.WaitFinished();
        }
      });
    }
  }
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_THAT(states[i]->host().Differences(targets[i]->Read()), IsEmpty());
  }
}

TEST_F(CudaEngineTest, KeepsTheOldCheckpointWhenASaveIsCancelledAtAnyMoment) {
  GpuState state(*gpu_, MixedState());
  Engine engine = MakeEngine();
  SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
  const TensorSet first = state.host().Copy();
  const std::size_t last = state.tensors().size() - 1;
  auto* const huge = static_cast<std::byte*>(state.tensors()[last].tensor.data());
  const std::size_t size = state.tensors()[last].tensor.size_bytes();
  std::string expected = first.Content(last);
  for (int round = 0; round < 10; ++round) {
    const std::string content(size, static_cast<char>('a' + round));
    gpu_->Write(huge, AsBytes(content));
    SaveHandle save =
        SaveAsync(engine, prefix_, state.tensors(),
                  {.staging = round % 2 == 0 ? Staging::kLazy : Staging::kDeviceCopy});
    const std::uint64_t staged_before = random_() % save.progress().bytes_total;
    while (save.progress().bytes_staged < staged_before) std::this_thread::yield();
    if (save.Cancel()) {
      EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kCancelled);
    } else {
      save.WaitFinished();
      expected = content;
    }
    EXPECT_EQ(Restored(prefix_, state.host()).Content(last), expected);
  }
}

TEST_F(CudaEngineTest, ShowsHistogramsOfWhatTheCallersStreamLeaves) {
  // Sums of such numbers are exact in any order.
  std::vector<float> values(10'000);
  for (float& value : values) value = static_cast<float>(random_() % 2000) - 1000;
  const auto content = std::as_bytes(std::span(values));
  Graph graph;
  const Output value = graph.AddPlaceholder("value", DType::kFloat32, {-1});
  const Output histogram = summary::Histogram(graph, "h", value);
  Engine engine = MakeEngine();
  const Session session(engine, graph);
  const auto run = [&](const void* memory, void* stream) {
    const ConstTensorView tensor(memory, DType::kFloat32, {10'000});
    const Summary result = session.Run(histogram, {{value, tensor}}, {.stream = stream});
    return std::get<HistogramData>(DecodeSummary(AsBytes(result.Serialize())).value().at(0).value);
  };
  const HistogramData expected = run(values.data(), nullptr);
  for (int ordinal = 0; ordinal < gpu_->device_count(); ++ordinal) {
    std::byte* const memory = gpu_->Allocate(ordinal, content.size());
    gpu_->Write(memory, std::vector<std::byte>(content.size()));
    void* const stream = gpu_->MakeStream(ordinal);
    gpu_->WriteOnStream(stream, memory, {content.begin(), content.end()});
    const HistogramData data = run(memory, stream);
    EXPECT_EQ(data.min, expected.min);
    EXPECT_EQ(data.max, expected.max);
    EXPECT_EQ(data.sum, expected.sum);
    EXPECT_EQ(data.sum_squares, expected.sum_squares);
    EXPECT_EQ(data.bucket_limit, expected.bucket_limit);
    EXPECT_EQ(data.bucket, expected.bucket);
  }
}

TEST_F(CudaEngineTest, NoticesATensorThatChangesWhileItIsStaged) {
  GpuState state(*gpu_, MixedState());
  const TensorView small = state.tensors()[0].tensor;
  GatedFileSystem fs(PosixFileSystem());
  EngineParts parts{.options = TestEngineOptions(), .fs = fs, .devices = gpu_->MakeDevices()};
  parts.options.check_stable = CheckStable::kDevices;
  Engine engine(std::make_unique<Engine::Impl>(std::move(parts)));
  fs.writes.Close();
  SaveHandle save = SaveAsync(engine, prefix_, state.tensors());
  // The first window is filled, which small tensors are in, and not all others are.
  fs.writes.WaitForArrivals(1);
  std::string changed = state.host().Content(0);
  changed[0] = static_cast<char>(~changed[0]);
  gpu_->Write(static_cast<std::byte*>(small.data()), AsBytes(changed));
  fs.writes.Open();
  EXPECT_EQ(CodeOf([&] { save.WaitFinished(); }), Code::kAborted);
  EXPECT_FALSE(std::filesystem::exists(prefix_ + ".index"));
}

TEST_F(CudaEngineTest, FailsCleanlyWhenTheDiskIsFullUnderLoad) {
  const GpuState state(*gpu_, MixedState());
  FaultyFileSystem fs(PosixFileSystem());
  Engine engine = MakeEngine(fs);
  SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
  fs.Inject({.at = 3, .errno_value = ENOSPC, .operation = FsOperation::kWrite});
  EXPECT_EQ(CodeOf([&] { SaveAsync(engine, prefix_, state.tensors()).WaitFinished(); }),
            Code::kResourceExhausted);
  EXPECT_THAT(state.host().Differences(Restored(prefix_, state.host())), IsEmpty());
  SaveAsync(engine, prefix_, state.tensors()).WaitFinished();
}

}  // namespace
}  // namespace waypost
