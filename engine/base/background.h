// What a background thread does first: it takes a name and steps back.
#pragma once

namespace waypost {

// Names the calling thread (at most 15 characters), blocks signals, and sets its niceness to 10,
// unless it is higher already.  It is never raised again, since that needs a privilege; whoever is
// in a hurry does the work on a thread of its own.  Not lower still: an idle thread starves on a
// machine whose cores are all busy (docs/performance.md).
void EnterBackground(const char* name) noexcept;

}  // namespace waypost
