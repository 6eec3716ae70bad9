// TensorRestorerTest: saves to a simulated disk, and restores from what a test has made of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/units.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_restorer.h"
#include "support/seed.h"
#include "support/sim_file_system.h"
#include "support/tensor_set.h"
#include "support/test_engine.h"

namespace waypost {

inline constexpr const char* kPrefix = "/m";
inline constexpr const char* kDataPath = "/m.data-00000-of-00001";

// `device`, those of the test program, and the host.
inline DeviceRegistry HostAnd(std::unique_ptr<Device> device = nullptr) {
  std::vector<std::unique_ptr<Device>> devices = TestDevices();
  if (device) devices.insert(devices.begin(), std::move(device));
  devices.push_back(MakeHostDevice());
  return DeviceRegistry(std::move(devices));
}

// The files that a save of `tensors` makes.
inline SimDisk SavedDisk(std::span<const NamedTensor> tensors) {
  SimFileSystem fs(TestSeed());
  Engine engine = TestEngine(fs);
  SaveAsync(engine, kPrefix, tensors).WaitFinished();
  SimDisk disk;
  for (const std::string& name : fs.List("/")) {
    disk.files["/" + name] =
        std::make_shared<const std::string>(AsText(fs.Map("/" + name)->bytes()));
  }
  return disk;
}

inline SimDisk WithData(SimDisk disk, std::string data) {
  disk.files[kDataPath] = std::make_shared<const std::string>(std::move(data));
  return disk;
}

class TensorRestorerTest : public ::testing::Test {
 protected:
  void Restore(FileSystem& fs, std::span<const NamedTensor> targets, std::size_t windows_max = 0) {
    const BundleReader reader(fs, kPrefix);
    TensorLoader loader(fs, pool_, {.windows_max = windows_max});
    RestoreTensors(reader, loader, devices_, targets, nullptr, "restore /m");
  }
  std::optional<RestoreError> TryRestore(FileSystem& fs, std::span<const NamedTensor> targets,
                                         std::size_t windows_max = 0) {
    std::optional<RestoreError> failure;
    try {
      Restore(fs, targets, windows_max);
    } catch (const RestoreError& error) {
      failure = error;
    }
    EXPECT_EQ(pool_.available(), pool_.window_count());
    return failure;
  }

  std::mt19937_64 random_{TestSeed()};
  BufferPool pool_{4};
  DeviceRegistry devices_ = HostAnd();
};

}  // namespace waypost
