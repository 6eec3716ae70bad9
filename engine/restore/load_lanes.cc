#include "restore/load_lanes.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "restore/counting_consumer.h"
#include "restore/tensor_loader.h"

namespace waypost {
namespace {

// More threads than this are not quicker than memory is.
constexpr std::size_t kCopyingThreadsMax = 4;

std::uint64_t BytesOf(const LoadLane& lane) {
  std::uint64_t bytes = 0;
  for (const std::vector<LoadPart>& step : lane.steps) {
    for (const LoadPart& part : step) bytes += part.end - part.begin;
  }
  return bytes;
}

// Drives that the lanes' files are on; a file that cannot be looked at is on none.
std::size_t DriveCount(FileSystem& fs, const StoredCheckpoint& reader,
                       const std::vector<LoadLane>& lanes) {
  std::set<int> shards;
  for (const LoadLane& lane : lanes) {
    for (const std::vector<LoadPart>& step : lane.steps) {
      for (const LoadPart& part : step) shards.insert(part.extent->shard);
    }
  }
  std::set<std::uint64_t> drives;
  for (const int shard : shards) {
    try {
      if (const auto stat = fs.Stat(reader.DataFilePath(shard))) drives.insert(stat->device);
    } catch (const Error&) {
      // Reading it will tell, if it is to be read by then.
    }
  }
  return drives.size();
}

std::size_t ThreadCount(const LoadResources& resources, const StoredCheckpoint& reader,
                        const std::vector<LoadLane>& lanes) {
  if (resources.threads_max != 0) return std::min(resources.threads_max, lanes.size());
  const std::size_t cores =
      std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kCopyingThreadsMax);
  if (lanes.size() <= cores) return lanes.size();
  return std::min(lanes.size(), std::max(cores, DriveCount(resources.fs, reader, lanes)));
}

class LaneRunner {
 public:
  LaneRunner(const LoadResources& resources, const StoredCheckpoint& reader,
             std::vector<LoadLane> lanes, const ConsumerFactory& make_consumer)
      : resources_(resources),
        reader_(reader),
        lanes_(std::move(lanes)),
        make_consumer_(make_consumer) {}

  void Run(std::size_t thread_count) {
    windows_max_ = std::max<std::size_t>(1, resources_.pool.window_count() / thread_count);
    {
      const std::stop_callback on_stop(resources_.stop, [this] { stop_.request_stop(); });
      std::vector<std::jthread> threads = StartThreads(thread_count - 1);
      TakeLanes();
    }
    if (first_error_ != nullptr) std::rethrow_exception(first_error_);
  }

 private:
  std::vector<std::jthread> StartThreads(std::size_t count) {
    std::vector<std::jthread> threads;
    threads.reserve(count);
    try {
      while (threads.size() < count) {
        threads.emplace_back([this] {
          pthread_setname_np(pthread_self(), "waypost-read");
          TakeLanes();
        });
      }
    } catch (const std::system_error& error) {
      // Those that there are do it all, only later.
      LogWarning(fmt::format("restore: {} of {} threads: {}", threads.size(), count, error.what()));
    }
    return threads;
  }

  void TakeLanes() noexcept {
    try {
      std::unique_ptr<PartConsumer> consumer = make_consumer_();
      if (resources_.bytes_done != nullptr) {
        consumer = std::make_unique<CountingConsumer>(std::move(consumer), *resources_.bytes_done);
      }
      for (std::size_t lane = next_lane_++; lane < lanes_.size(); lane = next_lane_++) {
        RunLane(lanes_[lane], *consumer);
      }
    } catch (...) {
      Stop(std::current_exception());
    }
  }

  void RunLane(LoadLane& lane, PartConsumer& consumer) {
    const std::size_t windows_max = lane.windows_max != 0 ? lane.windows_max : windows_max_;
    TensorLoader loader(resources_.fs, resources_.pool,
                        {.windows_max = windows_max,
                         .past_cache = resources_.past_cache,
                         .stop = stop_.get_token()});
    for (std::vector<LoadPart>& step : lane.steps) {
      ThrowIfStopped(stop_.get_token());
      loader.Load(reader_, std::move(step), consumer);
    }
  }

  void Stop(std::exception_ptr error) noexcept {
    const std::lock_guard lock(mutex_);
    if (first_error_ == nullptr) first_error_ = std::move(error);
    stop_.request_stop();
  }

  const LoadResources& resources_;
  const StoredCheckpoint& reader_;
  std::vector<LoadLane> lanes_;  // each is touched by the thread that took it
  const ConsumerFactory& make_consumer_;
  std::size_t windows_max_ = 1;
  std::atomic<std::size_t> next_lane_ = 0;
  std::stop_source stop_;
  std::mutex mutex_;
  std::exception_ptr first_error_;  // Guarded by mutex_.
};

}  // namespace

std::vector<LoadLane> LanesByFile(std::vector<LoadPart> parts) {
  SortByPlace(parts);
  std::vector<LoadLane> lanes;
  for (std::size_t begin = 0; begin < parts.size();) {
    std::size_t end = begin + 1;
    while (end < parts.size() && parts[end].extent->shard == parts[begin].extent->shard) ++end;
    const auto first = parts.begin() + static_cast<std::ptrdiff_t>(begin);
    lanes.push_back({.steps = {{first, first + static_cast<std::ptrdiff_t>(end - begin)}}});
    begin = end;
  }
  return lanes;
}

void RunLanes(const LoadResources& resources, const StoredCheckpoint& reader,
              std::vector<LoadLane> lanes, const ConsumerFactory& make_consumer) {
  if (lanes.empty()) return;
  std::ranges::stable_sort(lanes, std::greater<>(), BytesOf);
  const std::size_t thread_count = ThreadCount(resources, reader, lanes);
  LaneRunner(resources, reader, std::move(lanes), make_consumer).Run(thread_count);
}

}  // namespace waypost
