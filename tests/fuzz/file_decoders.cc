// Decoders of whole files through the classes that users have: a checkpoint with its data files,
// the state file, an event file.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "device/device_registry.h"
#include "format/bundle_names.h"
#include "format/record_io.h"
#include "fuzz/answers.h"
#include "fuzz/checksums.h"
#include "fuzz/decoders.h"
#include "fuzz/entry_list.h"
#include "fuzz/memory_file.h"
#include "manage/checkpoint_state_files.h"
#include "memory/buffer_pool.h"
#include "restore/bundle_reader.h"
#include "restore/part_checker.h"
#include "restore/tensor_mapper.h"
#include "restore/tensor_restorer.h"
#include "restore/tensor_stream.h"
#include "support/sim_file_system.h"
#include "waypost/event_reader.h"
#include "wire/state_text.h"

namespace waypost {
namespace {

constexpr const char* kPrefix = "/d/m";
constexpr int kDataFilesMax = 3;

// ---- A checkpoint ------------------------------------------------------------------------------

// The checksum of what an entry points at, which for strings and variants is first put right
// within; nullopt when it points outside.
std::optional<std::uint32_t> ChecksumOf(const BundleEntry& entry, std::string& data) {
  const auto offset = static_cast<std::uint64_t>(entry.offset);
  const auto size = static_cast<std::uint64_t>(entry.size_bytes);
  if (offset > data.size() || size > data.size() - offset) return std::nullopt;
  std::int64_t count = 1;
  for (const std::int64_t dimension : entry.shape) {
    if (dimension < 0 || dimension > 1000 || count > 1000) return std::nullopt;
    count *= dimension;
  }
  const std::size_t begin = offset;
  const auto elements = static_cast<std::uint64_t>(count);
  if (entry.dtype_number == static_cast<std::int64_t>(DType::kString)) {
    return MendStrings(data, begin, begin + size, elements);
  }
  if (entry.dtype_number == static_cast<std::int64_t>(DType::kVariant)) {
    return MendVariants(data, begin, begin + size, elements);
  }
  return Crc32c(AsBytes(data).subspan(begin, size));
}

void MendEntries(TableEntries& entries, std::string& data) {
  // The second time nothing is put right within the data any more that the first time was not.
  for (int round = 0; round < 2; ++round) {
    for (auto& [key, value] : entries) {
      std::optional<BundleEntry> entry = DecodeBundleEntry(AsBytes(value));
      if (key.empty() || !entry || !entry->has_crc32c) continue;
      const std::optional<std::uint32_t> crc32c = ChecksumOf(*entry, data);
      if (!crc32c) continue;
      entry->crc32c = *crc32c;
      value = EncodeBundleEntry(*entry);
    }
  }
}

SimDisk DiskOf(const TableEntries& entries, const std::string& data) {
  SimDisk disk;
  disk.directories = {"/d"};
  disk.files[IndexPath(kPrefix)] = std::make_shared<const std::string>(WriteTable(entries));
  const auto header = DecodeBundleHeader(AsBytes(entries.at("")));
  const SimContent content = std::make_shared<const std::string>(data);
  const int count = header ? header->shard_count : 0;
  for (int shard = 0; shard < std::min(count, kDataFilesMax); ++shard) {
    disk.files[DataPath(kPrefix, shard, count)] = content;
  }
  return disk;
}

class DamageCollector final : public PartChecker {
 public:
  using PartChecker::PartChecker;
  void OnDamage(const LoadPart& part, const Error& error) override {
    WAYPOST_CHECK(error.code() == Code::kDataLoss || error.code() == Code::kNotFound);
    Forget(part);
  }
};

const DeviceRegistry& HostOnly() {
  static const DeviceRegistry devices = [] {
    std::vector<std::unique_ptr<Device>> host;
    host.push_back(MakeHostDevice());
    return DeviceRegistry(std::move(host));
  }();
  return devices;
}

class CheckpointVisit {
 public:
  explicit CheckpointVisit(FileSystem& fs)
      : reader_(fs, kPrefix), loader_(fs, Pool()), mapper_(reader_) {}

  void All() {
    DamageCollector collector(reader_);
    loader_.Load(reader_, AllParts(reader_.index()), collector);
    for (const StoredTensor& tensor : reader_.index().tensors()) {
      TryFor({Code::kDataLoss, Code::kNotFound, Code::kFailedPrecondition}, [&] { Read(tensor); });
    }
  }

 private:
  static BufferPool& Pool() {
    static BufferPool pool(2);
    return pool;
  }

  void Read(const StoredTensor& tensor) {
    if (tensor.dtype == DType::kString) {
      const auto strings = ReadStrings(reader_, loader_, tensor);
      WAYPOST_CHECK(strings.size() == static_cast<std::size_t>(ElementCount(tensor.shape)));
    } else if (tensor.dtype != DType::kVariant) {
      ReadNumbers(tensor);
    }
  }

  // However they are read, they are the same.
  void ReadNumbers(const StoredTensor& tensor) {
    std::vector<std::byte> streamed;
    StreamTensor(reader_, loader_, tensor, [&](std::span<const std::byte> bytes) {
      streamed.insert(streamed.end(), bytes.begin(), bytes.end());
    });
    const auto size =
        static_cast<std::size_t>(ElementCount(tensor.shape)) * ElementBytes(tensor.dtype);
    WAYPOST_CHECK(streamed.size() == size);
    std::vector<std::byte> restored(size);
    Restore(
        {.name = tensor.name, .tensor = TensorView(restored.data(), tensor.dtype, tensor.shape)});
    WAYPOST_CHECK(restored == streamed);
    if (size == 0) return;
    if (mapper_.WhyNot(tensor).empty()) {
      WAYPOST_CHECK(std::ranges::equal(mapper_.Map(tensor, true).bytes, streamed));
    }
    if (!tensor.shape.empty()) RestoreLastRow(tensor, streamed);
  }

  void RestoreLastRow(const StoredTensor& tensor, std::span<const std::byte> whole) {
    TensorSlice slice;
    slice.extents.assign(tensor.shape.size(), {0, -1});
    slice.extents[0] = {tensor.shape[0] - 1, 1};
    const std::size_t row = whole.size() / static_cast<std::size_t>(tensor.shape[0]);
    std::vector<std::byte> restored(row);
    Restore({.name = tensor.name,
             .tensor = TensorView(restored.data(), tensor.dtype, SliceShape(tensor.shape, slice)),
             .full_shape = tensor.shape,
             .slice = slice});
    WAYPOST_CHECK(std::ranges::equal(restored, whole.last(row)));
  }

  void Restore(const NamedTensor& target) {
    RestoreTensors(reader_, loader_, HostOnly(), std::span(&target, 1), nullptr, "fuzz");
  }

  BundleReader reader_;
  TensorLoader loader_;
  TensorMapper mapper_;
};

}  // namespace

void DecodeCheckpoint(std::span<const std::byte> bytes) {
  CheckpointParts parts = CheckpointPartsOf(bytes);
  parts.entries.try_emplace("", EncodeBundleHeader({}));
  MendEntries(parts.entries, parts.data);
  SimFileSystem fs(DiskOf(parts.entries, parts.data));
  // kUnimplemented: big-endian.
  TryFor({Code::kDataLoss, Code::kInvalidArgument, Code::kUnimplemented},
         [&] { CheckpointVisit(fs).All(); });
}

void DecodeStateFile(std::span<const std::byte> bytes) {
  Try([&] {
    const std::string text = PrintStateText(ParseStateText(AsText(bytes), "fuzz"));
    WAYPOST_CHECK(PrintStateText(ParseStateText(text, "fuzz")) == text);
  });
  SimDisk disk;
  disk.directories = {"/d"};
  disk.files["/d/checkpoint"] = std::make_shared<const std::string>(AsText(bytes));
  SimFileSystem fs(disk);
  Try([&] {
    const auto state = ReadCheckpointState(fs, "/d");
    std::vector<SkippedCheckpoint> skipped;
    WAYPOST_CHECK(!FindWhole(fs, *state, skipped) && !skipped.empty());
  });
}

void DecodeEventFile(std::span<const std::byte> bytes) {
  std::string mended(AsText(bytes));
  MendRecords(mended);
  std::uint64_t records = 0;
  RecordReader record_reader(AsBytes(mended), "fuzz");
  Try([&] {
    for (std::span<const std::byte> record; record_reader.Next(record); ++records) {
      DecodeEventBytes(record);
    }
  });
  static const MemoryFile file;
  file.Fill(AsBytes(mended));
  Try([&] {
    EventReader reader(file.path());
    std::uint64_t events = 0;
    while (reader.Next()) ++events;
    WAYPOST_CHECK(events == records);
    WAYPOST_CHECK(reader.torn_tails().empty() == (record_reader.torn_bytes() == 0));
  });
  Try([&] { static_cast<void>(LastStep(file.path())); });
}

}  // namespace waypost
