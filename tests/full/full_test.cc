// Large states through the public calls, within the memory bound of docs/performance.md: a save, a
// check of every checksum, and a restore take no more than the ring, 64 MiB and 512 bytes a tensor
// beyond the state itself.  (tests/measure holds what a tensor takes against the bound more
// closely.) The restore goes into the state's own memory, overwritten before; what it holds then is
// compared with its content made anew.
//
// The rates are printed, and beside them those of dd with direct I/O on as many bytes in the same
// place. Nothing is asserted of them.  WAYPOST_FULL_RUNS=n repeats the measurements.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "base/unique_fd.h"
#include "base/units.h"
#include "bench/big_state.h"
#include "bench/memory_probe.h"
#include "format/bundle_names.h"
#include "support/temp_dir.h"
#include "waypost/checkpoint_reader.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

constexpr std::uint64_t kRingBytes = 64 * kMiB;

std::uint64_t ExtraBytesMax(std::size_t tensor_count) {
  return kRingBytes + 64 * kMiB + 512 * std::uint64_t{tensor_count};
}

double SecondsOf(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void PrintRate(const std::string& what, std::uint64_t bytes, double seconds,
               const std::string& more = "") {
  std::printf("  %-44s %6.2f s  %5.2f GB/s%s\n", what.c_str(), seconds,
              static_cast<double>(bytes) / seconds * 1e-9, more.c_str());
  std::fflush(stdout);
}

// Removes the file's pages from the page cache, so that the next read comes from the drive.
void EvictFromPageCache(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd);
  ASSERT_EQ(::fdatasync(fd.get()), 0);
  ASSERT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
}

class FullSize : public testing::Test {
 protected:
  // Runs `action` and holds its extra memory against the bound.  Prints a line.
  void Measure(const std::string& what, const BigState& state,
               const std::function<void()>& action) {
    MemoryProbe probe;
    const double seconds = SecondsOf(action);
    const std::uint64_t extra = probe.PeakExtraBytes();
    PrintRate(what, state.size_bytes(), seconds,
              fmt::format("  extra memory {:.1f} of {:.1f} MiB", static_cast<double>(extra) / kMiB,
                          static_cast<double>(ExtraBytesMax(state.tensors().size())) / kMiB));
    EXPECT_LE(extra, ExtraBytesMax(state.tensors().size())) << what;
  }

  void SaveVerifyRestore(BigState& state) {
    Measure("save, to durable", state, [&] {
      Engine engine({.staging_bytes = kRingBytes});
      SaveAsync(engine, prefix_, state.tensors()).WaitCommitted();
    });
    state.Poison();
    ASSERT_FALSE(state.Wrong().empty());
    Measure("verify, every tensor by itself, cached", state, [&] {
      const CheckpointReader reader(prefix_);
      for (const NamedTensor& tensor : state.tensors()) reader.Read(tensor.name, tensor.tensor);
    });
    EXPECT_THAT(state.Wrong(), testing::IsEmpty());
    for (const bool cold : {false, true}) {
      state.Poison();
      if (cold) EvictFromPageCache(DataPath(prefix_, 0, 1));
      Measure(cold ? "restore, page cache empty" : "restore, cached", state, [&] {
        Engine engine({.staging_bytes = kRingBytes});
        Restore(engine, prefix_, state.tensors());
      });
      EXPECT_THAT(state.Wrong(), testing::IsEmpty());
    }
  }

  // dd's own words would be another unit; only its time is taken.
  void PrintDd(const std::string& what, const BigState& state, const std::string& arguments) {
    const std::string command = "dd bs=4M " + arguments;
    int status = 0;
    const double seconds =
        SecondsOf([&] { status = std::system((command + " status=none 2>/dev/null").c_str()); });
    if (status != 0) {
      std::printf("  %-44s not possible here\n", what.c_str());
    } else {
      PrintRate(what, state.size_bytes(), seconds);
    }
  }

  void Run(const std::vector<std::uint64_t>& tensor_bytes) {
    BigState state(tensor_bytes);
    const char* const runs = std::getenv("WAYPOST_FULL_RUNS");
    for (int run = 0; run < (runs != nullptr ? std::atoi(runs) : 1); ++run) {
      std::printf("%zu tensors, %.2f GB\n", state.tensors().size(),
                  static_cast<double>(state.size_bytes()) * 1e-9);
      ASSERT_NO_FATAL_FAILURE(SaveVerifyRestore(state));
      const std::string data = DataPath(prefix_, 0, 1);
      const std::string copy = dir_.File("dd");
      PrintDd("dd, the data file written with oflag=direct", state,
              fmt::format("if={} of={} oflag=direct conv=fdatasync", data, copy));
      PrintDd("dd, the data file read with iflag=direct", state,
              fmt::format("if={} of=/dev/null iflag=direct", data));
      std::filesystem::remove(copy);
      std::filesystem::remove(data);
      std::filesystem::remove(prefix_ + ".index");
    }
  }

  TempDir dir_;
  std::string prefix_ = dir_.File("model-1");
};

TEST_F(FullSize, FourGibibytesInThreeHundredTensors) {
  // Sizes as of layers: some large, many middling, no two alike; together just 4 GiB.
  std::vector<std::uint64_t> sizes;
  std::uint64_t left = 4 * kGiB;
  for (std::uint64_t i = 0; i < 299; ++i) {
    sizes.push_back((i % 10 == 0 ? 60 * kMiB : 7 * kMiB) + i * 4100);
    left -= sizes.back();
  }
  sizes.push_back(left);
  Run(sizes);
}

TEST_F(FullSize, AHundredThousandSmallTensors) {
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t i = 0; i < 100'000; ++i)
    sizes.push_back(kKiB + i * 2654435761U % (7 * kKiB + 1) / 4 * 4);
  Run(sizes);
}

// Names and entries, not bytes, are what such a save has to hold.
TEST_F(FullSize, FourHundredThousandTensorsWithLongNames) {
  constexpr std::size_t kTensors = 400'000;
  std::vector<float> values(kTensors);
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < kTensors; ++i) {
    tensors.push_back({.name = fmt::format("model/{:06}/{:s}/moment_2", i, std::string(120, 'n')),
                       .tensor = TensorView(&values[i], DType::kFloat32, {1})});
  }
  MemoryProbe probe;
  Engine engine({.staging_bytes = kRingBytes});
  SaveAsync(engine, prefix_, tensors).WaitFinished();
  const std::uint64_t extra = probe.PeakExtraBytes();
  std::printf("%zu tensors: extra memory %.0f bytes each beyond the ring and 64 MiB\n", kTensors,
              (static_cast<double>(extra) - static_cast<double>(ExtraBytesMax(0))) / kTensors);
  EXPECT_LE(extra, ExtraBytesMax(kTensors));
}

TEST_F(FullSize, OneTensorOfThreeGibibytes) { Run({3 * kGiB}); }

}  // namespace
}  // namespace waypost
