#pragma once

#include <cstdint>

#include "waypost/saver.h"
#include "waypost/session.h"

namespace waypost {

// The number that `step` stands for; a variable's is read from its memory, on a device behind what
// `stream` holds now.  Throws kInvalidArgument for a variable that is no scalar of an integer
// dtype, kFailedPrecondition for one that is not bound or is undefined.
std::int64_t GlobalStepValue(const Session& session, const GlobalStep& step, void* stream);

}  // namespace waypost
