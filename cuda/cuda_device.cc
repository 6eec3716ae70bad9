#include "cuda/cuda_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "cuda/cuda_check.h"
#include "cuda/cuda_lane.h"
#include "cuda/cuda_scope.h"
#include "cuda/handles.h"

namespace waypost {
namespace {

// Handles that name a default stream of whatever device is current.
bool IsDefaultStream(cudaStream_t stream) {
  return stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread;
}

// The primary context of a device, kept as long as this.
class PrimaryContext {
 public:
  PrimaryContext(const CudaDriver& driver, int ordinal)
      : driver_(driver), ordinal_(ordinal), context_(driver.RetainPrimaryContext(ordinal)) {}
  ~PrimaryContext() { driver_.ReleasePrimaryContext(ordinal_); }
  PrimaryContext(const PrimaryContext&) = delete;
  PrimaryContext& operator=(const PrimaryContext&) = delete;

  const CudaDriver& driver() const noexcept { return driver_; }
  CUcontext get() const noexcept { return context_; }

 private:
  const CudaDriver& driver_;
  const int ordinal_;
  const CUcontext context_;
};

struct MarkedPoint {
  Event event;
  bool is_own = false;  // of this device's context, so that it may be used again
};

// What one ticket stands for.
struct Started {
  cudaStream_t stream = nullptr;
  Event event;                    // behind it on the stream
  UsedLists lists;                // which the device reads until then
  std::function<void()> deliver;  // gives a result in one of them to whoever asked for it
};

}  // namespace

// All calls with mutex_ of the device held, and within Scope().
class CudaDevice::Running {
 public:
  using Enqueue = void (CudaLane::*)(std::span<const Copy>, UsedLists&);

  Running(CudaPlatform& platform, int ordinal, std::string name);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  CudaScope Scope() const { return CudaScope(context_.driver(), context_.get()); }

  Mark MarkStream(cudaStream_t stream);
  void ReleaseMark(Mark mark) noexcept;

  Ticket StartToHost(Enqueue enqueue, std::span<const Copy> copies, Mark behind) {
    return Start(*to_host_, enqueue, copies, behind);
  }
  Ticket StartFromHost(Enqueue enqueue, std::span<const Copy> copies, Mark behind) {
    return Start(*from_host_, enqueue, copies, behind);
  }
  std::optional<Ticket> StartComparison(std::span<const SummedPart> parts, std::size_t& differing);
  std::optional<Ticket> StartHistogram(const ConstTensorView& tensor, HistogramTotals& totals,
                                       Mark behind);
  // Takes what is to be waited for, without the lock.
  Started Take(Ticket ticket);
  void GiveBack(Started started);

  std::byte* AllocateMemory(std::size_t size_bytes);
  void FreeMemory(std::byte* memory) noexcept;

 private:
  Ticket Start(CudaLane& lane, Enqueue enqueue, std::span<const Copy> copies, Mark behind);
  template <typename Work>
  Ticket StartOn(CudaLane& lane, Work&& work);
  // The same for work that the lane may refuse, and then says so by false.
  template <typename Work>
  std::optional<Ticket> TryStartOn(CudaLane& lane, Work&& work);
  void PutBehind(CudaLane& lane, Mark mark) {
    if (mark != 0) lane.PutBehind(mark, marks_.at(mark).event.get());
  }
  void ForgetEarlierError() const;
  Event TakeEvent();
  cudaError_t MakePool();
  void RequireNoCapture(cudaStream_t stream) const;

  const std::string name_;
  const int ordinal_;
  const PrimaryContext context_;
  PinnedLists lists_;
  std::vector<Event> free_events_;
  std::unique_ptr<CudaLane> to_host_;
  std::unique_ptr<CudaLane> from_host_;
  std::map<Mark, MarkedPoint> marks_;
  Mark mark_last_ = 0;
  std::map<Ticket, Started> started_;
  Ticket ticket_last_ = 0;
  cudaMemPool_t pool_ = nullptr;  // from the first allocation on
};

CudaDevice::Running::Running(CudaPlatform& platform, int ordinal, std::string name)
    : name_(std::move(name)), ordinal_(ordinal), context_(platform.driver(), ordinal) {
  const CudaScope scope = Scope();
  // When the second one fails, the first goes while the context is still current.
  auto to_host = std::make_unique<CudaLane>(name_, platform, lists_);
  auto from_host = std::make_unique<CudaLane>(name_, platform, lists_);
  platform.LockHostMemory(context_.get());  // last: it keeps the context
  to_host_ = std::move(to_host);
  from_host_ = std::move(from_host);
}

CudaDevice::Running::~Running() {
  try {
    const CudaScope scope = Scope();
    for (const CudaLane* const lane : {to_host_.get(), from_host_.get()}) {
      cudaStreamSynchronize(lane->stream());
    }
    started_.clear();
    marks_.clear();
    free_events_.clear();
    to_host_.reset();
    from_host_.reset();
    lists_ = {};
    if (pool_ != nullptr) cudaMemPoolDestroy(pool_);
  } catch (const Error&) {
    // The driver is gone, at the end of the process; nothing can be destroyed or still runs.
  }
}

Device::Mark CudaDevice::Running::MarkStream(cudaStream_t stream) {
  // An event must be of the stream's own context.
  const CUcontext context =
      IsDefaultStream(stream) ? context_.get() : context_.driver().ContextOf(stream, name_);
  RequireNoCapture(stream);
  const CudaScope scope(context_.driver(), context);
  const bool is_own = context == context_.get();
  Event event = is_own ? TakeEvent() : MakeEvent();
  CheckCuda(cudaEventRecord(event.get(), stream == nullptr ? cudaStreamLegacy : stream),
            name_ + ": mark the caller's stream");
  free_events_.reserve(free_events_.size() + marks_.size() + 1);  // ReleaseMark must not fail
  marks_.emplace(mark_last_ + 1, MarkedPoint{std::move(event), is_own});
  return ++mark_last_;
}

void CudaDevice::Running::ReleaseMark(Mark mark) noexcept {
  const auto found = marks_.find(mark);
  WAYPOST_CHECK(found != marks_.end());
  if (found->second.is_own) free_events_.push_back(std::move(found->second.event));
  marks_.erase(found);  // an event may be destroyed in any context, but not without one
}

void CudaDevice::Running::RequireNoCapture(cudaStream_t stream) const {
  auto status = cudaStreamCaptureStatusNone;
  const cudaError_t error =
      cudaStreamIsCapturing(stream == nullptr ? cudaStreamLegacy : stream, &status);
  // Told of a default stream while another one is being captured.
  const bool is_implicit = error == cudaErrorStreamCaptureImplicit;
  if (!is_implicit) CheckCuda(error, name_ + ": look at the caller's stream");
  if (!is_implicit && status == cudaStreamCaptureStatusNone) return;
  static_cast<void>(cudaGetLastError());
  throw Error(Code::kFailedPrecondition,
              name_ +
                  ": the caller's stream is being captured into a graph, whose work has no "
                  "time yet; save and restore outside of the capture");
}

Device::Ticket CudaDevice::Running::Start(CudaLane& lane, Enqueue enqueue,
                                          std::span<const Copy> copies, Mark behind) {
  return StartOn(lane, [&](Started& started) {
    PutBehind(lane, behind);
    (lane.*enqueue)(copies, started.lists);
  });
}

std::optional<Device::Ticket> CudaDevice::Running::StartComparison(
    std::span<const SummedPart> parts, std::size_t& differing) {
  return TryStartOn(*to_host_, [&](Started& started) {
    const auto found = to_host_->Compare(parts, started.lists);
    if (!found) return false;
    started.deliver = [&differing, found = *found, count = parts.size()] {
      differing = static_cast<std::size_t>(std::min<std::uint64_t>(*found, count));
    };
    return true;
  });
}

std::optional<Device::Ticket> CudaDevice::Running::StartHistogram(const ConstTensorView& tensor,
                                                                  HistogramTotals& totals,
                                                                  Mark behind) {
  return TryStartOn(*to_host_, [&](Started& started) {
    PutBehind(*to_host_, behind);
    const HistogramTotals* const counted = to_host_->Count(tensor, started.lists);
    if (counted == nullptr) return false;
    started.deliver = [&totals, counted] { totals = *counted; };
    return true;
  });
}

template <typename Work>
std::optional<Device::Ticket> CudaDevice::Running::TryStartOn(CudaLane& lane, Work&& work) {
  bool is_possible = true;
  const Ticket ticket = StartOn(lane, [&](Started& started) { is_possible = work(started); });
  if (is_possible) return ticket;
  GiveBack(Take(ticket));
  return std::nullopt;
}

template <typename Work>
Device::Ticket CudaDevice::Running::StartOn(CudaLane& lane, Work&& work) {
  ForgetEarlierError();
  Started& started = started_[ticket_last_ + 1];
  started.stream = lane.stream();
  try {
    started.event = TakeEvent();
    work(started);
    CheckCuda(cudaEventRecord(started.event.get(), lane.stream()), name_ + ": record an event");
  } catch (...) {
    // What is on the stream already must not touch memory that the caller has back.
    cudaStreamSynchronize(lane.stream());
    started_.erase(ticket_last_ + 1);
    throw;
  }
  return ++ticket_last_;
}

// Thrust judges a launch by the last error of the thread, which may be one that the caller has not
// looked at.
void CudaDevice::Running::ForgetEarlierError() const {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  LogInfoOnce(name_ + " earlier error",
              name_ + ": an earlier CUDA call of this thread left an error, which is dropped: " +
                  cudaGetErrorName(error));
}

Event CudaDevice::Running::TakeEvent() {
  if (free_events_.empty()) return MakeEvent();
  Event event = std::move(free_events_.back());
  free_events_.pop_back();
  return event;
}

Started CudaDevice::Running::Take(Ticket ticket) {
  const auto found = started_.find(ticket);
  if (found == started_.end()) {
    throw Error(Code::kInternal, fmt::format("{}: ticket {} was waited for twice", name_, ticket));
  }
  Started started = std::move(found->second);
  started_.erase(found);
  return started;
}

void CudaDevice::Running::GiveBack(Started started) {
  free_events_.push_back(std::move(started.event));
  for (PinnedMemory& list : started.lists.memory) lists_.GiveBack(std::move(list));
}

// Memory from a pool of our own comes and goes in the order of our stream: cudaFree would wait for
// the whole device.
cudaError_t CudaDevice::Running::MakePool() {
  if (pool_ != nullptr) return cudaSuccess;
  cudaMemPoolProps props = {};
  props.allocType = cudaMemAllocationTypePinned;
  props.location.type = cudaMemLocationTypeDevice;
  props.location.id = ordinal_;
  return cudaMemPoolCreate(&pool_, &props);
}

std::byte* CudaDevice::Running::AllocateMemory(std::size_t size_bytes) {
  void* memory = nullptr;
  cudaError_t error = MakePool();
  if (error == cudaSuccess) {
    error = cudaMallocFromPoolAsync(&memory, size_bytes, pool_, to_host_->stream());
  }
  // Not every device has pools.
  if (error == cudaErrorMemoryAllocation || error == cudaErrorNotSupported) {
    static_cast<void>(cudaGetLastError());
    return nullptr;
  }
  CheckCuda(error, name_ + ": allocate memory");
  return static_cast<std::byte*>(memory);
}

void CudaDevice::Running::FreeMemory(std::byte* memory) noexcept {
  cudaFreeAsync(memory, to_host_->stream());
  // At once, and not when the job happens to wait for something.
  cudaStreamSynchronize(to_host_->stream());
  cudaMemPoolTrimTo(pool_, 0);
}

// ---- CudaDevice ----

CudaDevice::CudaDevice(std::shared_ptr<CudaPlatform> platform, int ordinal)
    : platform_(std::move(platform)), ordinal_(ordinal), name_(fmt::format("cuda:{}", ordinal)) {}

CudaDevice::~CudaDevice() = default;

bool CudaDevice::Owns(const void* address) const noexcept {
  return OwnerOfCudaMemory(address) == ordinal_;
}

CudaDevice::Running& CudaDevice::Run() {
  if (running_ == nullptr) running_ = std::make_unique<Running>(*platform_, ordinal_, name_);
  return *running_;
}

Device::Mark CudaDevice::MarkStream(void* stream) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.MarkStream(static_cast<cudaStream_t>(stream));
}

void CudaDevice::ReleaseMark(Mark mark) noexcept {
  const std::scoped_lock lock(mutex_);
  try {
    const CudaScope scope = running_->Scope();
    running_->ReleaseMark(mark);
  } catch (const Error&) {
    // The driver is gone, and its events with it.
  }
}

Device::Ticket CudaDevice::StartCopiesToHost(std::span<const Copy> copies, Mark behind) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.StartToHost(&CudaLane::CopyToHost, copies, behind);
}

Device::Ticket CudaDevice::StartCopiesFromHost(std::span<const Copy> copies, Mark behind) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.StartFromHost(&CudaLane::CopyFromHost, copies, behind);
}

Device::Ticket CudaDevice::StartCopiesWithin(std::span<const Copy> copies, Mark behind) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.StartToHost(&CudaLane::CopyWithin, copies, behind);
}

std::optional<Device::Ticket> CudaDevice::StartComparison(std::span<const SummedPart> parts,
                                                          std::size_t& differing) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.StartComparison(parts, differing);
}

std::optional<Device::Ticket> CudaDevice::StartHistogram(const ConstTensorView& tensor,
                                                         HistogramTotals& totals, Mark behind) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.StartHistogram(tensor, totals, behind);
}

void CudaDevice::Wait(Ticket ticket) {
  if (ticket == 0) return;
  std::unique_lock lock(mutex_);
  Running& running = Run();
  Started started = running.Take(ticket);
  lock.unlock();
  cudaError_t error = cudaSuccess;
  {
    const CudaScope scope = running.Scope();
    error = cudaEventSynchronize(started.event.get());
    // The caller has its memory back now, and another ticket the lists.
    if (error != cudaSuccess) cudaStreamSynchronize(started.stream);
  }
  if (error == cudaSuccess && started.deliver) started.deliver();
  lock.lock();
  running.GiveBack(std::move(started));
  lock.unlock();
  CheckCuda(error, name_ + ": wait for a copy");
}

std::byte* CudaDevice::AllocateMemory(std::size_t size_bytes) {
  const std::scoped_lock lock(mutex_);
  Running& running = Run();
  const CudaScope scope = running.Scope();
  return running.AllocateMemory(size_bytes);
}

void CudaDevice::FreeMemory(std::byte* memory) noexcept {
  const std::scoped_lock lock(mutex_);
  try {
    const CudaScope scope = running_->Scope();
    running_->FreeMemory(memory);
  } catch (const Error&) {
    // The driver is gone, and its memory with it.
  }
}

void CudaDevice::RegisterHostMemory(std::span<std::byte> memory) {
  platform_->AddHostMemory(memory);
}

void CudaDevice::UnregisterHostMemory(std::span<std::byte> memory) noexcept {
  platform_->RemoveHostMemory(memory);
}

}  // namespace waypost
