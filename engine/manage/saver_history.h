// SaverHistory: the saves of one Saver, from their start until their outcome is known, and what
// retention makes of them.
//
//   Saver::SaveAsync: WaitForLast -> Count -> Engine::Impl::Save -> Add
//
// A save in the background may fail, so that each carries the Retention that is to count once it
// is committed.  Where a failing file system let nobody tell whether it was, it does not count, so
// that no older checkpoint goes in its stead; each time that is asked for the retention it is
// looked at again, and counts from when it is known to be there.
//
// Threads:  one at a time.
// Errors:   that of a save that failed and nobody waited for is thrown by the next WaitForLast, or
//           logged by the destructor.
// Lifetime: the destructor waits until all saves have finished; in a forked child it does nothing.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/own_process.h"
#include "manage/retention.h"
#include "save/save_job.h"
#include "waypost/save_handle.h"

namespace waypost {

class SaverHistory {
 public:
  explicit SaverHistory(const RetentionOptions& options) : retention_(options) {}
  ~SaverHistory();
  SaverHistory(const SaverHistory&) = delete;
  SaverHistory& operator=(const SaverHistory&) = delete;

  // Throws kFailedPrecondition in a forked child.
  void RequireOwnProcess(const char* operation) const { process_.Require(operation); }
  // The next save counts on what became of the last.  Throws the error of one that nobody has seen.
  void WaitForLast();
  // A started save, and what retention becomes when it is committed; nothing: it does not count.
  void Add(const SaveHandle& save, std::optional<Retention> next);
  // One of the waits of the save that was started last.
  void Wait(void (SaveHandle::*wait)());

  // As of the saves that are committed now.
  const Retention& Settled();
  // Requires: WaitForLast has returned, and nothing was added since.
  Retention& retention() noexcept { return retention_; }

 private:
  // A save whose outcome is not taken into account yet.
  struct Pending {
    SaveHandle save;
    std::optional<Retention> next;
  };

  // A save that has ended and was not counted, and how it would be.
  struct Open {
    SaveHandle save;
    CountedCheckpoint checkpoint;
  };

  void SettleEnded();
  void SettleOpen();

  Retention retention_;
  const OwnProcess process_;
  std::deque<Pending> pending_;     // oldest first
  std::vector<Open> open_;          // oldest first
  std::optional<SaveHandle> last_;  // the last one that has ended
  std::vector<SaveHandle> failed_;  // ended ones whose errors perhaps nobody has seen
};

}  // namespace waypost
