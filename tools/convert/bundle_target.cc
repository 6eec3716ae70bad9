#include "convert/bundle_target.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/escape.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "inspect/checkpoint.h"
#include "restore/part_checker.h"

namespace waypost::tool {
namespace {

class StoppableChecker final : public PartChecker {
 public:
  StoppableChecker(const StoredCheckpoint& reader, const RunContext& context)
      : PartChecker(reader), context_(context) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    context_.Advance(bytes.size());
    PartChecker::OnBytes(part, offset, bytes);
  }

 private:
  const RunContext& context_;
};

// Tells of the bytes that a save has written, as long as it lives.
class SaveProgressTeller {
 public:
  SaveProgressTeller(const SaveHandle& save, Progress& progress)
      : thread_([&save, &progress](const std::stop_token& stop) { Tell(save, progress, stop); }) {}

 private:
  static constexpr std::chrono::milliseconds kInterval{200};

  static void Tell(const SaveHandle& save, Progress& progress, const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "waypost-told");
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::uint64_t told = 0;
    for (std::unique_lock lock(mutex);
         !stopped.wait_for(lock, stop, kInterval, [&stop] { return stop.stop_requested(); });) {
      const std::uint64_t written = save.progress().bytes_written;
      progress.Advance(written - told);
      told = written;
    }
  }

  std::jthread thread_;
};

const StoredExtent* FindExtent(const TensorIndex& index, const NamedTensor& tensor) {
  const StoredTensor* const stored = index.Find(tensor.name);
  if (stored == nullptr || stored->dtype != tensor.tensor.dtype()) return nullptr;
  const auto found = std::ranges::find(stored->extents, tensor.slice, &StoredExtent::slice);
  return found == stored->extents.end() ? nullptr : &*found;
}

void RequireEqual(const StoredCheckpoint& reader, const NamedTensor& tensor, std::uint32_t crc32c) {
  const StoredExtent* const extent = FindExtent(reader.index(), tensor);
  const std::string slice =
      tensor.slice.IsWhole() ? "" : fmt::format(" slice {}", SliceText(tensor.slice));
  if (extent == nullptr) {
    throw Error(Code::kDataLoss, fmt::format("{}: tensor {}{} is not there", reader.prefix(),
                                             Printable(tensor.name), slice));
  }
  if (extent->crc32c == crc32c) return;
  throw Error(Code::kDataLoss,
              fmt::format("{}: tensor {}{} has checksum {:08x}, and {:08x} in the source",
                          reader.prefix(), Printable(tensor.name), slice, extent->crc32c, crc32c));
}

}  // namespace

std::vector<std::string> WriteBundle(const RunContext& context, SourceViews& views,
                                     const BundleTargetOptions& options) {
  if (options.shards > 0) AssignShards(views.tensors(), options.shards);
  Engine engine;
  SaveHandle save = SaveAsync(engine, options.prefix, views.tensors(),
                              {.sharded = options.shards > 0, .meta_graph = options.meta_graph});
  const std::stop_callback on_stop(context.stop, [&save] { save.Cancel(); });
  {
    const SaveProgressTeller teller(save, context.progress);
    save.WaitFinished();
  }
  return save.stats().warnings;
}

void VerifyBundle(const RunContext& context, const SourceViews& views, const std::string& prefix) {
  Checkpoint checkpoint(prefix);
  for (std::size_t i = 0; i < views.tensors().size(); ++i) {
    RequireEqual(checkpoint.reader(), views.tensors()[i], views.crc32c()[i]);
  }
  StoppableChecker checker(checkpoint.reader(), context);
  checkpoint.loader().Load(checkpoint.reader(), AllParts(checkpoint.reader().index()), checker);
}

std::vector<std::string> BundleFiles(FileSystem& fs, const std::string& prefix) {
  std::vector<std::string> files = {IndexPath(prefix)};
  const std::optional<BundleHeader> header = CommittedHeader(fs, prefix);
  if (!header) return files;
  for (int shard = 0; shard < header->shard_count; ++shard) {
    files.push_back(DataPath(prefix, shard, header->shard_count));
  }
  if (header->origin && header->origin->meta_size > 0) files.push_back(MetaGraphPath(prefix));
  return files;
}

}  // namespace waypost::tool
