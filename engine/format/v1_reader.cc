#include "format/v1_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/escape.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/index_checks.h"
#include "format/slice_codec.h"
#include "format/slice_set.h"
#include "format/table_reader.h"
#include "format/v1_names.h"
#include "format/v1_values.h"
#include "format/v1_writer.h"
#include "wire/v1_messages.h"

namespace waypost {
namespace {

// Saves over one checkpoint come minutes apart.
constexpr int kAttemptsMax = 100;

// What a compressed byte stands for at the most (snappy's best is some 21).
constexpr std::uint64_t kExpansionMax = 22;

bool IsSameFile(const FileStat& a, const FileStat& b) {
  return std::tie(a.device, a.inode, a.size, a.mtime_seconds) ==
         std::tie(b.device, b.inode, b.size, b.mtime_seconds);
}

// All shards must be there.
void RequireComplete(const std::string& path, const std::vector<V1File>& files) {
  if (files.empty()) {
    throw Error(Code::kNotFound, fmt::format("open {}: no such checkpoint", path));
  }
  const std::optional<V1ShardedName> sharded = ParseV1ShardedPath(path);
  if (!sharded || files.front().path == path) return;
  for (int shard = 0; shard < sharded->shard_count; ++shard) {
    const auto number = static_cast<std::size_t>(shard);
    if (number < files.size() && files[number].shard == shard) continue;
    throw Error(Code::kNotFound,
                fmt::format("open {}: the checkpoint's file {} is missing", path,
                            V1ShardPath(sharded->prefix, shard, sharded->shard_count)));
  }
}

bool IsFullSlice(const TensorSlice& slice) {
  return std::ranges::all_of(slice.extents, [](const TensorSlice::Extent& extent) {
    return extent == TensorSlice::Extent{};
  });
}

// A slice without extents is that of a scalar here.
std::uint64_t CountOf(const StoredTensor& tensor, const TensorSlice& slice) {
  if (slice.extents.size() != tensor.shape.size()) {
    throw Error(Code::kDataLoss, fmt::format("slice {} has not the rank of shape {}",
                                             SliceText(slice), ShapeText(tensor.shape)));
  }
  return static_cast<std::uint64_t>(ElementCount(SliceShape(tensor.shape, slice)));
}

// What the table says, without the file's path.
std::string ReasonOf(std::string_view text, const std::string& path) {
  return std::string(text.starts_with(path + ": ") ? text.substr(path.size() + 2) : text);
}

// The tensor, without slices.
StoredTensor JudgeTensor(const V1TensorMeta& meta, const IndexContext& context) {
  if (meta.name.empty()) context.Fail("it has no name");
  if (meta.unknown_rank) context.Fail("its rank is unknown");
  if (meta.slices.empty()) context.Fail("it has no slice");
  const DType dtype = CheckedDType(meta.dtype_number, context);
  if (!V1FieldOf(dtype)) {
    context.Fail(fmt::format("format V1 does not have dtype {}", DTypeName(dtype)));
  }
  CheckedElementCount(meta.shape, dtype, context);
  return {.name = meta.name, .dtype = dtype, .shape = meta.shape, .extents = {}};
}

}  // namespace

class V1Reader::File {
 public:
  File(FileSystem& fs, const std::string& file_path)
      : path(file_path),
        mapping(fs.Map(file_path)),
        table(mapping->bytes(), path,
              [this](std::uint64_t begin, std::uint64_t end) {
                RequireReadable(*mapping, path, begin, end);
              }),
        meta_(ReadMeta()) {}

  // Each tensor that the file says it has, judged by the caller before the next one takes memory.
  void ForEachTensor(const V1TensorVisitor& visit) {
    // A slice has an entry of its own, which takes a byte at the very least.
    const std::uint64_t slices_max = mapping->bytes().size();
    if (!VisitV1Tensors(AsBytes(meta_), slices_max, visit)) {
      throw Error(Code::kDataLoss, path + ": its list of tensors is malformed or too long");
    }
    meta_ = {};
  }

  const std::string path;
  const std::unique_ptr<MappedFile> mapping;
  const TableReader table;

 private:
  std::string ReadMeta() const {
    std::optional<std::string> value = table.Find("");
    const std::optional<FormatVersion> version =
        value ? DecodeV1Version(AsBytes(*value)) : std::nullopt;
    if (!version) {
      throw Error(Code::kDataLoss,
                  path + ": no checkpoint of format V1 (it does not say which tensors it has)");
    }
    RequireReadable(*version, path);
    return *std::move(value);
  }

  std::string meta_;  // the entry of the empty key, until its tensors are known
};

V1Reader::V1Reader(FileSystem& fs, const std::string& path) {
  for (int attempt = 0; !TryOpen(fs, path); ++attempt) {
    if (attempt == kAttemptsMax) {
      throw Error(Code::kAborted, fmt::format("open {}: its files keep changing", path));
    }
  }
  TensorsByName known;
  for (int file = 0; file < file_count(); ++file) AddTensors(file, known);
  std::ranges::sort(tensors_, {},
                    [](const auto& tensor) -> std::string_view { return tensor->name; });
  std::uint64_t number = 0;
  for (const std::unique_ptr<StoredTensor>& tensor : tensors_) {
    JudgeSlices(*tensor);
    for (StoredExtent& extent : tensor->extents) extent.offset = number++;
    tensor->is_sliced = !tensor->extents.front().slice.IsWhole();
    references_.emplace_back(*tensor);
  }
}

V1Reader::~V1Reader() = default;

// False when a save has replaced files meanwhile: those that were opened may be of two saves.
bool V1Reader::TryOpen(FileSystem& fs, const std::string& path) {
  files_.clear();
  const auto stat_all = [&fs](const std::vector<V1File>& files) {
    std::vector<std::optional<FileStat>> stats;
    for (const V1File& file : files) stats.push_back(fs.Stat(file.path));
    return stats;
  };
  const auto is_same = [](const std::optional<FileStat>& a, const std::optional<FileStat>& b) {
    return a && b && IsSameFile(*a, *b);
  };
  const std::vector<V1File> files = FindV1Files(fs, path);
  const std::vector<std::optional<FileStat>> before = stat_all(files);
  RequireComplete(path, files);
  const auto has_changed = [&] {
    const std::vector<V1File> now = FindV1Files(fs, path);
    return !std::ranges::equal(files, now, {}, &V1File::path, &V1File::path) ||
           !std::ranges::equal(before, stat_all(now), is_same);
  };
  try {
    for (const V1File& file : files) files_.push_back(std::make_unique<File>(fs, file.path));
  } catch (const Error&) {
    // What was mapped need not be what was looked at.
    if (has_changed()) return false;
    throw;
  }
  return !has_changed();
}

const std::string& V1Reader::FilePath(int file) const noexcept {
  return files_[static_cast<std::size_t>(file)]->path;
}

// Joins what a file says of its tensors with what others say.
void V1Reader::AddTensors(int number, TensorsByName& known) {
  File& file = *files_[static_cast<std::size_t>(number)];
  file.ForEachTensor([&](V1TensorMeta& meta) {
    const IndexContext context(file.path, meta.name);
    StoredTensor judged = JudgeTensor(meta, context);
    StoredTensor*& tensor = known[meta.name];
    if (tensor == nullptr) {
      tensors_.push_back(std::make_unique<StoredTensor>(std::move(judged)));
      tensor = tensors_.back().get();
    } else if (tensor->dtype != judged.dtype || tensor->shape != judged.shape) {
      context.Fail(fmt::format("{} {} where another slice of it is {} {}", DTypeName(judged.dtype),
                               ShapeText(judged.shape), DTypeName(tensor->dtype),
                               ShapeText(tensor->shape)));
    }
    for (TensorSlice& slice : meta.slices) {
      const std::uint64_t count = context.Checked([&] { return CountOf(*tensor, slice); });
      // So that nobody takes memory for what a file only says.
      if (count * V1ElementBytesMin(tensor->dtype) / kExpansionMax > file.mapping->bytes().size()) {
        context.Fail(fmt::format("{} elements have no room in its file", count));
      }
      if (IsFullSlice(slice)) slice = {};
      tensor->extents.push_back({.slice = std::move(slice),
                                 .shard = number,
                                 .size_bytes = count * ElementBytes(tensor->dtype),
                                 .chunk_crc32c = {}});
    }
  });
}

void V1Reader::JudgeSlices(const StoredTensor& tensor) const {
  if (tensor.extents.size() < 2) return;
  const IndexContext context(FilePath(tensor.extents.front().shard), tensor.name);
  std::vector<TensorSlice> slices;
  std::set<std::string> texts;  // slices without elements overlap nothing
  for (const StoredExtent& extent : tensor.extents) {
    if (extent.slice.IsWhole() || !texts.insert(SliceText(extent.slice)).second) {
      context.Fail("it is stored twice");
    }
    slices.push_back(extent.slice);
  }
  const auto overlap = context.Checked([&] { return FindOverlap(tensor.shape, slices); });
  if (!overlap) return;
  context.Fail(fmt::format("slices {} and {} overlap", SliceText(slices[overlap->first]),
                           SliceText(slices[overlap->second])));
}

const StoredTensor* V1Reader::Find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(
      references_, name, {},
      [](const StoredTensor& tensor) -> std::string_view { return tensor.name; });
  return found != references_.end() && found->get().name == name ? &found->get() : nullptr;
}

void V1Reader::ReadSlices(std::span<const Slice> slices, const Visitor& visitor) const {
  if (slices.empty()) return;
  const File& file = *files_[static_cast<std::size_t>(slices.front().extent->shard)];
  using Wanted = std::multimap<std::string, std::size_t, std::less<>>;  // positions by key
  std::map<std::size_t, Wanted> blocks;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const StoredTensor& tensor = *slices[i].tensor;
    std::string key =
        EncodeSliceKey(tensor.name, V1Slice(slices[i].extent->slice, tensor.shape.size()));
    blocks[file.table.BlockOf(key)].emplace(std::move(key), i);
  }
  for (auto& [block, wanted_in_block] : blocks) {
    Wanted& wanted = wanted_in_block;  // clang takes bindings into lambdas only from 16 on
    std::exception_ptr visitors_error;
    std::string reason = "the entry of its slice is missing";
    try {
      if (block < file.table.block_count()) {
        file.table.ForEachIn(block, [&](std::string_view key, std::span<const std::byte> entry) {
          const auto [first, last] = wanted.equal_range(key);
          try {
            for (auto it = first; it != last; ++it) visitor.on_entry(it->second, entry);
          } catch (...) {
            visitors_error = std::current_exception();
            throw;
          }
          wanted.erase(first, last);
        });
      }
    } catch (const Error& error) {
      if (visitors_error != nullptr) throw;
      reason = ReasonOf(error.what(), file.path);
    }
    for (const auto& [key, slice] : wanted) {
      visitor.on_damage(slice, Error(Code::kDataLoss,
                                     fmt::format("{}: tensor {}: {}", file.path,
                                                 Printable(slices[slice].tensor->name), reason)));
    }
  }
}

std::vector<V1Reader::Damage> V1Reader::FindDamage() const {
  std::vector<Damage> damage;
  for (const std::unique_ptr<File>& file : files_) {
    for (std::size_t block = 0; block < file->table.block_count(); ++block) {
      try {
        file->table.ForEachIn(block, [](std::string_view, std::span<const std::byte>) {});
      } catch (const Error& error) {
        damage.push_back({file->path, ReasonOf(error.what(), file->path)});
      }
    }
    for (const std::string& line : file->table.FindUnreadDamage()) {
      damage.push_back({file->path, ReasonOf(line, file->path)});
    }
  }
  return damage;
}

}  // namespace waypost
