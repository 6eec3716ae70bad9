// RestoreTensors: plan, load, copy to the devices, and say what was changed when that fails midway.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "device/device_registry.h"
#include "restore/bundle_reader.h"
#include "restore/tensor_loader.h"
#include "waypost/engine.h"

namespace waypost {

// Fills `targets` from the opened checkpoint.  Errors as waypost::Restore, beginning with `context`
// ("restore PREFIX").
void RestoreTensors(const BundleReader& reader, TensorLoader& loader, const DeviceRegistry& devices,
                    std::span<const NamedTensor> targets, void* stream, const std::string& context);

}  // namespace waypost
