#include "convert/safetensors_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/escape.h"
#include "convert/mapped_bytes.h"
#include "convert/temporary_file.h"
#include "convert/window_stream.h"
#include "format/safetensors_writer.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

constexpr std::size_t kWindows = 8;

std::string StemOf(const std::string& path) {
  return path.ends_with(kSafetensorsEnd) ? path.substr(0, path.size() - kSafetensorsEnd.size())
                                         : path;
}

std::string SetIndexPath(const std::string& path) {
  return fmt::format("{}{}", path, kSafetensorsIndexEnd);
}

// Whether a file of this base name belongs to a set whose single file would be `base`.
bool IsOfSet(const std::string& name, const std::string& base) {
  return name.starts_with(StemOf(base) + "-") && name.ends_with(kSafetensorsEnd);
}

// The file names of a set, as other programs choose them; with an infix where one of those is
// taken.
std::vector<std::string> SetPaths(FileSystem& fs, const std::string& path, std::size_t count) {
  const auto paths_with = [&](const std::string& infix) {
    std::vector<std::string> paths;
    for (std::size_t i = 1; i <= count; ++i) {
      paths.push_back(
          fmt::format("{}{}-{:05}-of-{:05}{}", StemOf(path), infix, i, count, kSafetensorsEnd));
    }
    return paths;
  };
  std::vector<std::string> paths = paths_with("");
  for (int attempt = 2; std::ranges::any_of(
           paths, [&](const std::string& taken) { return fs.Stat(taken).has_value(); });
       ++attempt) {
    paths = paths_with(fmt::format("-v{}", attempt));
  }
  return paths;
}

// One file, from its items to its name.
class FileWriter {
 public:
  FileWriter(const RunContext& context, Source& source, std::string path,
             std::vector<std::size_t> tensors, const SafetensorsMetadata& metadata)
      : context_(context), source_(source), tensors_(std::move(tensors)), path_(std::move(path)) {
    for (const std::size_t i : tensors_) {
      const SourceTensor& tensor = source_.tensors()[i];
      items_.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    layout_ = LayOutSafetensors(items_, metadata, path_);
    file_.emplace(context.fs, path_, layout_.size_bytes);
  }

  void Write() {
    BufferPool pool(kWindows);
    IoRing ring(context_.fs.MakeIoBackend());
    WindowStream stream(file_->file(), ring, pool);
    stream.Append(AsBytes(layout_.head), 0);
    for (const std::size_t item : layout_.order) {
      std::uint32_t crc32c = 0;
      source_.Stream({.tensor = tensors_[item]}, [&](std::span<const std::byte> bytes) {
        crc32c = stream.Append(bytes, crc32c);
        context_.Advance(bytes.size());
      });
      crc32c_[items_[item].name] = crc32c;
    }
    stream.Finish();
    file_->Close();
  }

  // Reads the file back as a stranger would.
  void Verify() {
    const std::unique_ptr<MappedFile> mapping = context_.fs.Map(file_->path());
    const SafetensorsHeader header = ParseSafetensors(mapping->bytes(), file_->path());
    for (const SafetensorsTensor& tensor : header.tensors) {
      const std::string what = fmt::format("{}: tensor {}", file_->path(), Printable(tensor.name));
      std::uint32_t crc32c = 0;
      ReadMapped(*mapping, tensor.begin, tensor.end, what, [&](std::span<const std::byte> bytes) {
        crc32c = ExtendCrc32c(crc32c, bytes);
        context_.Advance(bytes.size());
      });
      const auto wanted = crc32c_.find(tensor.name);
      if (wanted != crc32c_.end() && wanted->second == crc32c) continue;
      throw Error(
          Code::kDataLoss,
          fmt::format("{}: read back its checksum is {:08x}, and it was written with another", what,
                      crc32c));
    }
    if (header.tensors.size() == items_.size()) return;
    throw Error(Code::kDataLoss, fmt::format("{}: read back it has {} of {} tensors", file_->path(),
                                             header.tensors.size(), items_.size()));
  }

  TemporaryFile& file() noexcept { return *file_; }
  const std::string& path() const noexcept { return path_; }
  const std::vector<SafetensorsItem>& items() const noexcept { return items_; }
  std::uint64_t tensor_bytes() const noexcept { return layout_.size_bytes - layout_.head.size(); }

 private:
  const RunContext& context_;
  Source& source_;
  std::vector<std::size_t> tensors_;
  std::string path_;
  std::vector<SafetensorsItem> items_;  // of the same positions
  SafetensorsLayout layout_;
  std::optional<TemporaryFile> file_;
  std::map<std::string, std::uint32_t> crc32c_;  // by name
};

std::vector<std::vector<std::size_t>> Share(const Source& source, const Selection& selection,
                                            std::size_t shards) {
  std::vector<std::uint64_t> sizes;
  sizes.reserve(selection.tensors.size());
  for (const std::size_t i : selection.tensors) sizes.push_back(source.tensors()[i].size_bytes());
  std::vector<std::vector<std::size_t>> shares(1);
  const std::vector<std::size_t> parts = CutEvenly(sizes, std::max<std::size_t>(shards, 1));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    shares.resize(std::max(shares.size(), parts[i] + 1));
    shares[parts[i]].push_back(selection.tensors[i]);
  }
  return shares;
}

std::string IndexText(std::deque<FileWriter>& writers) {
  std::map<std::string, std::string> files;
  std::uint64_t tensor_bytes = 0;
  for (const FileWriter& writer : writers) {
    for (const SafetensorsItem& item : writer.items()) files[item.name] = BaseName(writer.path());
    tensor_bytes += writer.tensor_bytes();
  }
  return SafetensorsIndexText(files, tensor_bytes);
}

void WriteSynced(FileSystem& fs, const std::string& path, const std::string& text) {
  const std::unique_ptr<WritableFile> file = fs.Create(path, CreateMode::kTruncate);
  file->Append(AsBytes(text));
  file->Sync();
  file->Close();
}

// The rename is the commit point; what is there afterwards stays, whatever else fails.
void CommitFile(FileSystem& fs, FileWriter& writer) {
  fs.SyncDirectory(DirectoryOf(writer.path()));
  writer.file().Rename();
  writer.file().Keep();
}

// The protocol of a set.
//
//   1  each file under its temporary name, complete and synced; the index as well; directory sync.
//      A crash leaves temporary files.
//   2  under the directory's lock the files get their names, which no reader knows yet; directory
//      sync.  A crash leaves some of them, and the temporary index that names them all.
//   3  the index is renamed, directory sync: COMMITTED, but where there was a single file, which
//      readers prefer to a set: there its removal is.
//   4  what was replaced is removed.
//      A crash leaves some of it, and a temporary index that names that.
//
// What a crash leaves the next conversion to the same target removes.
void CommitSet(FileSystem& fs, TemporaryFile& index, std::deque<FileWriter>& writers) {
  const std::string directory = DirectoryOf(index.path());
  index.Close();
  WriteSynced(fs, index.path(), IndexText(writers));
  fs.SyncDirectory(directory);
  const LockResult directory_lock = fs.Lock(directory);
  for (FileWriter& writer : writers) {
    if (!fs.Stat(writer.path())) continue;
    throw Error(Code::kAborted,
                fmt::format("convert to {}: another program has made it meanwhile", writer.path()));
  }
  for (FileWriter& writer : writers) writer.file().Rename();
  fs.SyncDirectory(directory);
  index.Rename();
  index.Keep();
  for (FileWriter& writer : writers) writer.file().Keep();
}

enum class OfDamaged { kNone, kThrow };

// The files of the set that an index names, as far as they have such names and are there.  Nobody
// knows those of an index that is no index; one that cannot be read is an error in any case.
std::vector<std::string> FilesOfIndex(FileSystem& fs, const std::string& index,
                                      const std::string& base, OfDamaged of_damaged) {
  if (!fs.Stat(index)) return {};
  const std::string text = ReadFile(fs, index, kSafetensorsHeaderBytesMax);
  std::set<std::string> names;
  try {
    for (auto& [tensor, file] : ParseSafetensorsIndex(AsBytes(text), index)) names.insert(file);
  } catch (const Error&) {
    if (of_damaged == OfDamaged::kThrow) throw;
  }
  std::vector<std::string> files;
  for (const std::string& name : names) {
    std::string file = JoinPath(DirectoryOf(index), name);
    if (IsOfSet(name, base) && fs.Stat(file)) files.push_back(std::move(file));
  }
  return files;
}

// Removes the files that a temporary index of a dead conversion names and the one in place does
// not.  They were complete before the temporary one was begun: what is younger another program has
// made.
void RemoveUnnamed(FileSystem& fs, const std::string& temporary_index, const std::string& path) {
  const double begun = fs.Stat(temporary_index).value_or(FileStat()).mtime_seconds;
  const std::string base = BaseName(path);
  const std::vector<std::string> committed =
      FilesOfIndex(fs, SetIndexPath(path), base, OfDamaged::kThrow);
  for (const std::string& file : FilesOfIndex(fs, temporary_index, base, OfDamaged::kNone)) {
    const std::optional<FileStat> stat = fs.Stat(file);
    const bool is_named = std::ranges::find(committed, file) != committed.end();
    if (!is_named && stat && stat->mtime_seconds <= begun) fs.Remove(file);
  }
  // For good before the index that names them.
  fs.SyncDirectory(DirectoryOf(path));
}

// What a crash in the middle of an earlier conversion to `path` left.
std::vector<std::string> Sweep(FileSystem& fs, const std::string& path) {
  const std::string base = BaseName(path);
  return SweepTemporaryFiles(
      fs, DirectoryOf(path),
      [&](const std::string& name) {
        return name == base || name == SetIndexPath(base) || IsOfSet(name, base);
      },
      [&](const std::string& left, const std::string& name) {
        if (name == SetIndexPath(base)) RemoveUnnamed(fs, left, path);
      });
}

// What stands at the target before the conversion, and goes after its commit.  Until all of it is
// gone a temporary index names the files of an old set, so that they do not stay after a crash,
// when the index in place names the new ones.
class Replaced {
 public:
  // Writes that index; the caller syncs the directory.
  Replaced(FileSystem& fs, const std::string& path)
      : fs_(fs), index_(SetIndexPath(path)), files_(SafetensorsAt(fs, path)) {
    std::map<std::string, std::string> names;
    for (const std::string& file : files_) {
      if (IsOfSet(BaseName(file), BaseName(path))) names[BaseName(file)] = BaseName(file);
    }
    if (names.empty()) return;
    named_by_.emplace(fs, index_, 0);
    named_by_->Close();
    WriteSynced(fs, named_by_->path(), SafetensorsIndexText(names, 0));
  }

  // The new checkpoint is committed: what fails from here on the next conversion has to complete.
  void Release() noexcept {
    if (named_by_) named_by_->Keep();
  }

  // For good: readers would take an old single file in place of a new set.
  void Remove(const std::vector<std::string>& written) {
    for (const std::string& old : files_) {
      if (std::ranges::find(written, old) == written.end()) fs_.Remove(old);
    }
    if (!files_.empty()) fs_.SyncDirectory(DirectoryOf(index_));
    if (named_by_) fs_.Remove(named_by_->path());
  }

 private:
  FileSystem& fs_;
  std::string index_;
  std::vector<std::string> files_;
  std::optional<TemporaryFile> named_by_;
};

std::size_t CountJoined(const Source& source, const Selection& selection) {
  return static_cast<std::size_t>(std::ranges::count_if(
      selection.tensors, [&](std::size_t i) { return !source.tensors()[i].slices.empty(); }));
}

}  // namespace

SafetensorsWritten WriteSafetensors(const RunContext& context, Source& source,
                                    const Selection& selection,
                                    const SafetensorsTargetOptions& options) {
  FileSystem& fs = context.fs;
  CreateDirectories(fs, DirectoryOf(options.path));
  std::vector<std::string> warnings = Sweep(fs, options.path);
  Replaced replaced(fs, options.path);
  const std::vector<std::vector<std::size_t>> shares = Share(source, selection, options.shards);
  const bool is_set = options.shards > 1;
  const std::vector<std::string> paths =
      is_set ? SetPaths(fs, options.path, shares.size()) : std::vector{options.path};
  // Outlives the files that it names, so that they are removed first where the conversion fails.
  std::optional<TemporaryFile> index;
  if (is_set) index.emplace(fs, SetIndexPath(options.path), 0);
  std::deque<FileWriter> writers;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    writers.emplace_back(context, source, paths[i], shares[i], options.metadata).Write();
    if (options.verify) writers.back().Verify();
  }
  SafetensorsWritten written = {.files = paths,
                                .joined_count = CountJoined(source, selection),
                                .warnings = std::move(warnings)};
  if (is_set) {
    written.files.push_back(SetIndexPath(options.path));
    CommitSet(fs, *index, writers);
  } else {
    CommitFile(fs, writers.front());
  }
  replaced.Release();
  fs.SyncDirectory(DirectoryOf(options.path));
  replaced.Remove(written.files);
  return written;
}

std::vector<std::string> SafetensorsAt(FileSystem& fs, const std::string& path) {
  std::vector<std::string> found;
  if (fs.Stat(path)) found.push_back(path);
  const std::string index = SetIndexPath(path);
  if (!fs.Stat(index)) return found;
  found.push_back(index);
  std::ranges::move(FilesOfIndex(fs, index, BaseName(path), OfDamaged::kNone),
                    std::back_inserter(found));
  return found;
}

}  // namespace waypost::tool
