// WindowFiller does tasks of a StageQueue one by one, on whichever thread calls it: an I/O thread,
// or one that waits for the save to be staged.
//
// A window with tensors of a device is begun before the one before it is completed, so that the
// device copies into one while the other is summed.
//
// Threads:  one.
// Errors:   FillOne throws what a source's device or the check of the sources throws; the queue is
//           stopped by then.
// Lifetime: all parts are borrowed.  The destructor waits for copies under way.
#pragma once

#include <functional>
#include <optional>

#include "memory/buffer_pool.h"
#include "save/stage_queue.h"
#include "save/stager.h"

namespace waypost {

class WindowFiller {
 public:
  // Where tasks come from: whether there is one, and the next one, if it is still there.
  struct Tasks {
    std::function<bool()> has;
    std::function<std::optional<StageTask>()> take;
  };

  WindowFiller(Stager& stager, StageQueue& queue, BufferPool& pool, Tasks tasks);
  ~WindowFiller();
  WindowFiller(const WindowFiller&) = delete;
  WindowFiller& operator=(const WindowFiller&) = delete;

  // Does one task; false when there is none, or no free window to do it with.
  bool FillOne();
  // Ends what was begun, without beginning anything.  False when there was nothing.
  bool CompleteBegun();

 private:
  struct Begun {
    StageTask task;
    PinnedBuffer buffer;
    Stager::Filling filling;
  };

  void Begin(const StageTask& task);
  void Check(const StageTask& task);
  void Complete(Begun begun);

  Stager& stager_;
  StageQueue& queue_;
  BufferPool& pool_;
  Tasks tasks_;
  std::optional<PinnedBuffer> spare_;
  std::optional<Begun> begun_;
};

}  // namespace waypost
