// Directories as dead saves and others may leave them, swept.
//
// The input is a program: each file takes a byte for its kind of name, a few for the parts of the
// name, and then its content, likewise.  So a fuzzer finds names and contents that belong together.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/index_maker.h"
#include "format/v1_files.h"
#include "format/v1_names.h"
#include "fuzz/answers.h"
#include "fuzz/decoders.h"
#include "fuzz/seeds.h"
#include "io/directory_mark.h"
#include "restore/open_checkpoint.h"
#include "save/save_lock.h"
#include "save/sweeper.h"
#include "support/sim_file_system.h"

namespace waypost {
namespace {

const std::string kDirectory = "/d";
const std::string kStorage = "/s";
// Not the sweep's: whatever is in kDirectory must not change what is here.
const std::string kOutside = "/outside";
constexpr std::size_t kFilesMax = 24;
constexpr std::uint64_t kFileBytesMax = 1 << 16;

// A directory that is not this one's has another: its links are not followed, which is less to do.
std::string MarkOfDirectory() {
  SimDisk disk;
  disk.directories = {kDirectory};
  SimFileSystem fs(disk);
  return DirectoryMark(fs, kDirectory);
}

// Made once for each pair: a table takes longer to write than all else here.
SimContent IndexOf(int shard_count, std::uint64_t save_id) {
  static std::map<std::pair<int, std::uint64_t>, SimContent> made;
  SimContent& index = made[{shard_count, save_id}];
  if (!index) {
    BundleHeader header;
    header.shard_count = shard_count;
    if (save_id != 0) {
      header.origin = {.save_id = save_id, .writer = "fuzz", .directory_mark = MarkOfDirectory()};
    }
    index = std::make_shared<const std::string>(IndexMaker(header).Finish());
  }
  return index;
}

class DiskMaker {
 public:
  explicit DiskMaker(std::span<const std::byte> program) : program_(program) {
    disk_.directories = {kDirectory, kStorage, kOutside};
    disk_.files[kOutside + "/m.index"] = IndexOf(1, 1);
    for (const char* const name : {"m.data-00000-of-00001", "m.meta", "m", "m-00000-of-00001"}) {
      Put(JoinPath(kOutside, name), "x");
    }
  }

  SimDisk Make() {
    for (std::size_t i = 0; i < kFilesMax && program_.remaining() > 0; ++i) AddFile();
    return std::move(disk_);
  }

 private:
  std::uint8_t Take(std::uint8_t limit) {
    return static_cast<std::uint8_t>(program_.ReadFixed<std::uint8_t>().value_or(0) % limit);
  }
  std::string TakeText() {
    const std::uint64_t size = Take(40);
    return std::string(
        AsText(*program_.ReadBytes(std::min<std::uint64_t>(size, program_.remaining()))));
  }
  std::string TakePrefix() { return Take(2) == 0 ? "m" : "n"; }
  std::uint64_t TakeId() { return Take(3); }
  std::string TakeDataName(const std::string& prefix) {
    const int count = 1 + Take(3);
    return DataPath(prefix, Take(3) % count, count);
  }

  // What a temporary name stands for, too.
  std::string TakeFinalName() {
    const std::string prefix = TakePrefix();
    switch (Take(7)) {
      case 0: return IndexPath(prefix);
      case 1: return TakeDataName(prefix);
      case 2: return MetaGraphPath(prefix);
      case 3: return "checkpoint";
      case 4: return V1ShardPath(prefix, Take(2), 2);
      case 5: return prefix;
      default: return TakeText();
    }
  }

  std::string TakeName() {
    const std::uint64_t save_id = TakeId();
    switch (Take(6)) {
      case 0: return TakeFinalName();
      case 1: return LockPath(TakePrefix(), save_id);
      case 2: return TemporaryPath(TakeFinalName(), save_id);
      case 3: return TemporaryPath(TakePrefix() + ".retired", save_id);
      case 4: return TemporaryPath(TakeDataName(TakePrefix()) + ".hidden", save_id);
      default: return V1JournalPath(TakePrefix(), save_id);
    }
  }
  SimContent TakeIndex() {
    const int shard_count = 1 + Take(3);
    return IndexOf(shard_count, TakeId());
  }

  std::string TakeLock() {
    SaveLockContent content = {.pid = 1, .host = "host", .shard_counts = {}};
    for (int i = Take(3); i > 0; --i) content.shard_counts.push_back(Take(4));
    for (int i = Take(3); i > 0; --i) {
      content.retired.push_back(Take(2) == 0 ? TakePrefix() : TakeText());
    }
    content.meta_suffix = Take(2) == 0 ? "meta" : TakeText();
    for (int i = Take(3); i > 0; --i) {
      content.storage_dirs.push_back(Take(2) == 0 ? kStorage : kOutside);
    }
    content.replaced_save_id = TakeId();
    content.directory_mark = MarkOfDirectory();
    return PrintSaveLock(content);
  }

  // Links lead to a storage directory, to one that is not there, or elsewhere.
  std::string TakeLinkTarget() {
    const std::string prefix = TakePrefix();
    switch (Take(4)) {
      case 0: return JoinPath(kStorage, TakeDataName(prefix + "." + SaveIdText(TakeId())));
      case 1: return JoinPath("/gone", TakeDataName(prefix + "." + SaveIdText(TakeId())));
      case 2: return JoinPath(kOutside, TakeDataName(prefix));
      default: return JoinPath(kOutside, IndexPath(prefix));
    }
  }

  void AddFile() {
    std::string name = TakeName();
    std::erase_if(name, [](char c) { return c == '/' || c == '\0'; });
    if (name.empty() || name == "." || name == "..") return;
    const std::string path = JoinPath(kDirectory, name);
    const bool is_taken = disk_.links.contains(path) || disk_.files.contains(path) ||
                          disk_.directories.contains(path);
    if (is_taken) return;
    switch (Take(6)) {
      case 0: disk_.files[path] = TakeIndex(); break;
      case 1: Put(path, TakeLock()); break;
      case 2: Put(path, TakeText()); break;
      case 3: Put(path, ""); break;
      case 4: disk_.directories.insert(path); break;
      default: {
        const std::string target = TakeLinkTarget();
        disk_.links[path] = target;
        if (target.starts_with(kStorage)) Put(target, "stored");
        break;
      }
    }
  }

  void Put(const std::string& path, const std::string& content) {
    disk_.files[path] = std::make_shared<const std::string>(content);
  }

  ByteReader program_;
  SimDisk disk_;
};

std::map<std::string, std::string> ContentOf(FileSystem& fs, const std::string& directory) {
  std::map<std::string, std::string> content;
  for (const std::string& name : fs.List(directory)) {
    content[name] = ReadFile(fs, JoinPath(directory, name), kFileBytesMax);
  }
  return content;
}

// The paths of the index and of the data files of `prefix`, when it is a whole checkpoint that
// nothing in the directory asks to be changed: no tombstone, no temporary file, no list of a lock
// file.  Empty otherwise.
std::vector<std::string> FilesToStay(FileSystem& fs, const SimDisk& disk,
                                     const std::string& prefix) {
  for (const auto& [path, content] : disk.files) {
    const std::string name = BaseName(path);
    const auto temporary = ParseTemporaryName(name);
    if (temporary && (temporary->path.starts_with(prefix) || temporary->path.empty())) return {};
    const auto lock = ParseLockName(name) ? ParseSaveLock(*content) : std::nullopt;
    if (lock && !lock->retired.empty()) return {};
  }
  for (const auto& [path, target] : disk.links) {
    if (ParseTemporaryName(BaseName(path))) return {};
  }
  const std::string path = JoinPath(kDirectory, prefix);
  std::vector<std::string> files;
  TryFor({Code::kDataLoss, Code::kFailedPrecondition, Code::kUnknown}, [&] {
    const auto header = CommittedHeader(fs, path);
    if (!header) return;
    files.push_back(IndexPath(path));
    for (int shard = 0; shard < header->shard_count; ++shard) {
      files.push_back(DataPath(path, shard, header->shard_count));
    }
  });
  const bool is_whole = std::ranges::all_of(files, [&](const std::string& file) {
    const auto stat = fs.Stat(file);
    return stat && !stat->is_directory;
  });
  return is_whole ? files : std::vector<std::string>();
}

// What readers do in the directory, whose answer to anything is an Error.
void LookAround(FileSystem& fs) {
  const auto look = [](auto function) {
    try {
      function();
    } catch (const Error& error) {
      WAYPOST_CHECK(error.code() != Code::kInternal);
    }
  };
  for (const char* const prefix : {"/d/m", "/d/n", "/d/m-?\?\?\?\?-of-00002"}) {
    look([&] { OpenCheckpoint(fs, prefix); });
    look([&] { FindV1Files(fs, prefix); });
    look([&] { ReadCommittedFile(fs, prefix, kFileBytesMax); });
    look([&] {
      FindMetaGraph(fs, prefix, {.save_id = 1, .writer = {}, .meta_size = 1, .meta_crc32c = 0});
    });
  }
  look([&] { ReadCommittedFile(fs, JoinPath(kDirectory, "checkpoint"), kFileBytesMax); });
}

}  // namespace

void DecodeSaveLock(std::span<const std::byte> bytes) {
  const auto content = ParseSaveLock(AsText(bytes));
  if (!content) return;
  const std::string text = PrintSaveLock(*content);
  const auto again = ParseSaveLock(text);
  WAYPOST_CHECK(again && PrintSaveLock(*again) == text);
}

void DecodeDirectory(std::span<const std::byte> bytes) {
  const SimDisk disk = DiskMaker(bytes).Make();
  SimFileSystem fs(disk);
  const auto outside = ContentOf(fs, kOutside);
  std::vector<std::string> to_stay;
  for (const char* const prefix : {"m", "n"}) {
    for (std::string& file : FilesToStay(fs, disk, prefix)) to_stay.push_back(std::move(file));
  }
  LookAround(fs);
  // Once is enough for what Waypost leaves.  Names that it never gives (one save id for the lock
  // files of two prefixes) may take more; in the end nothing is left to do, or a warning tells why.
  std::size_t sweeps = 0;
  bool is_done = false;
  while (!is_done) {
    const SweepReport report = RecoverDirectory(fs, kDirectory);
    WAYPOST_CHECK(ContentOf(fs, kOutside) == outside);
    WAYPOST_CHECK(++sweeps <= kFilesMax);
    is_done = report.actions.empty() || !report.warnings.empty();
  }
  for (const std::string& file : to_stay) WAYPOST_CHECK(fs.Stat(file).has_value());
}

// Programs that DiskMaker runs; the kinds of names and contents are numbered there.
std::vector<std::string> Directories() {
  const auto program = [](std::initializer_list<int> steps) {
    std::string bytes;
    for (const int step : steps) bytes.push_back(static_cast<char>(step));
    return bytes;
  };
  return {
      // m.index of one data file by save 1, the file, a stale one of two, and the lock file of that
      // save, which names two as replaced.
      program({0, 0, 0, 0, 0, 0, 1,          //
               0, 0, 0, 1, 0, 0, 2, 1, 'x',  //
               0, 0, 0, 1, 1, 0, 2, 1, 'x',  //
               1, 1, 0, 1, 1, 2, 0, 0, 0,   0}),
      // The same save, that also retired n: its tombstone and its data, a link to the storage
      // directory, under a hidden name.
      program({0, 0, 0, 0, 0, 0, 1,                //
               0, 0, 0, 1, 0, 0, 2, 1, 'x',        //
               1, 3, 1, 0, 0, 2,                   //
               1, 4, 1, 0, 0, 5, 1, 0, 2,   0, 0,  //
               1, 1, 0, 1, 0, 1, 0, 1, 0,   0, 0}),
      // A V1 save's journal, with one of its two shards under the temporary name.
      program({1, 5, 0, 3,                //
               1, 2, 0, 4, 0, 2, 1, 'x',  //
               0, 0, 0, 4, 1, 2, 1, 'y',  //
               1, 1, 0, 1, 0, 0, 0, 0,   0}),
  };
}

}  // namespace waypost
