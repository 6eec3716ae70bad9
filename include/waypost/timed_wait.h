// Waits of a SaveHandle that end at a deadline, for a thread that has something else to look at now
// and then: a signal, a request to stop.
//
// Each does what the function of its name does, errors as well, and returns true; or false when the
// deadline has come first.  Windows are filled meanwhile here too, and the last one is ended: a
// return may be late by a few milliseconds.  Waiting again goes on.
#pragma once

#include <chrono>

#include "waypost/save_handle.h"

namespace waypost {

bool WaitStagedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline);
bool WaitCommittedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline);
bool WaitFinishedUntil(SaveHandle& save, std::chrono::steady_clock::time_point deadline);

}  // namespace waypost
