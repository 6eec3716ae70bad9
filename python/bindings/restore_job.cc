#include "bindings/restore_job.h"

#include <chrono>
#include <utility>

namespace waypost::python {

RestoreJob::RestoreJob(std::shared_ptr<Engine> engine, const RestoreOptions& options, Work work)
    : engine_(std::move(engine)),
      options_(options),
      work_(std::move(work)),
      done_(promise_.get_future()),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

RestoreJob::~RestoreJob() {
  const nb::gil_scoped_release release;
  thread_.request_stop();
  thread_.join();
}

bool RestoreJob::Wait(double seconds) {
  // Until this thread has the GIL again: an interpreter that ends waits for it when it closes the
  // engine, since a thread that wants the GIL later is ended, here with the whole process.
  const std::shared_ptr<Engine> kept = EngineIfRunning();
  {
    const nb::gil_scoped_release release;
    if (done_.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::ready)
      return false;
  }
  done_.get();
  return true;
}

void RestoreJob::Run(const std::stop_token& stop) noexcept {
  try {
    RestoreOptions options = options_;
    options.stop = stop;
    options.bytes_done = &bytes_done_;
    work_(*engine_, options);
    LetGo();
    promise_.set_value();
  } catch (...) {
    LetGo();
    promise_.set_exception(std::current_exception());
  }
}

std::shared_ptr<Engine> RestoreJob::EngineIfRunning() {
  const std::lock_guard lock(mutex_);
  return engine_;
}

void RestoreJob::LetGo() {
  const std::lock_guard lock(mutex_);
  engine_.reset();
}

}  // namespace waypost::python
