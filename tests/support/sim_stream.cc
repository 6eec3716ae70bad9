#include "support/sim_stream.h"

#include <pthread.h>

#include <utility>

namespace waypost {

SimStream::SimStream(SimAccelerator& accelerator)
    : accelerator_(accelerator), thread_([this](const std::stop_token& stop) { Loop(stop); }) {}

void SimStream::Run(std::function<void()> work) {
  const std::scoped_lock lock(accelerator_.mutex_);
  work_.push_back(std::move(work));
  ++given_count_;
  accelerator_.changed_.notify_all();
}

SimStream::Event SimStream::Record() const {
  Event event;
  event.done_ = done_count_;
  event.count_ = given_count_;
  return event;
}

void SimStream::Loop(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "sim-stream");
  std::unique_lock lock(accelerator_.mutex_);
  // After a stop, the wait tells at once whether there is work left.
  while (accelerator_.changed_.wait(lock, stop, [this] { return !work_.empty(); })) {
    {
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
    }
    lock.lock();
    ++*done_count_;
    accelerator_.changed_.notify_all();
  }
}

}  // namespace waypost
