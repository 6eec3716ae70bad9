// TensorRestorer: plan, load, copy to the devices, and say what was changed when that fails midway.
//
//   BundleReader -> PlanRestore -> [TensorRestorer] -> RunLanes -> TensorLoader -> TargetWriter
//
// Threads:  one at a time; Restore and Verify start threads of their own and have ended them when
//           they return or throw.
// Errors:   as waypost::Restore, beginning with `context`.
// Lifetime: everything is borrowed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "device/device_registry.h"
#include "restore/load_lanes.h"
#include "restore/shared_targets.h"
#include "restore/stored_checkpoint.h"
#include "restore/target_writer.h"
#include "restore/tensor_loader.h"
#include "waypost/engine.h"

namespace waypost {

class TensorRestorer {
 public:
  // Plans, and reads nothing: all names, dtypes and shapes that are wrong are in one error.
  // `context`: "restore PREFIX".
  TensorRestorer(const StoredCheckpoint& reader, const DeviceRegistry& devices,
                 std::span<const NamedTensor> targets, void* stream, std::string context,
                 bool reshape = false);

  // Reads and checks all that Restore will read, and changes nothing.  A plain Error for damage.
  void Verify(const LoadResources& resources) const;

  enum class Order {
    // Data files side by side, each from its beginning to its end; but targets that share memory
    // one after the other, in the order given.
    kParallel,
    // Per device: a target is read only when the one before it is assigned, through two windows.
    kSequential,
  };
  // Fills the targets, once.  RestoreError.
  void Restore(const LoadResources& resources, Order order = Order::kParallel);
  // The same on the calling thread alone.
  void Restore(TensorLoader& loader);

 private:
  std::vector<LoadLane> ParallelLanes();
  std::vector<LoadLane> LanesByDevice() const;
  // Calls `load`, and makes its error one that says what was changed.
  template <typename Load>
  void Account(Load&& load);

  std::string context_;
  RestoreWork work_;
  std::vector<SharedTargets> shared_;
  std::vector<LoadPart> parts_;  // in the order of the targets
};

// Plans and restores on the calling thread.
inline void RestoreTensors(const StoredCheckpoint& reader, TensorLoader& loader,
                           const DeviceRegistry& devices, std::span<const NamedTensor> targets,
                           void* stream, const std::string& context) {
  TensorRestorer(reader, devices, targets, stream, context).Restore(loader);
}

}  // namespace waypost
