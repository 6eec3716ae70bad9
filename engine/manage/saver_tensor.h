#pragma once

#include "waypost/engine.h"
#include "waypost/saver_builder.h"

namespace waypost {

// What an entry of a saver stands for in a checkpoint, with the memory of its variable.
inline NamedTensor TensorOf(const SaverEntry& entry, const TensorView& view) {
  return {.name = entry.name,
          .tensor = view,
          .full_shape = entry.full_shape,
          .slice = entry.slice,
          .device = entry.device};
}

}  // namespace waypost
