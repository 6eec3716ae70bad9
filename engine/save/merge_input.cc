#include "save/merge_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "format/bundle_files.h"
#include "format/bundle_index_writer.h"
#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "save/prefix_lock.h"
#include "save/stored_files.h"
#include "waypost/error.h"

namespace waypost {
namespace {

bool IsSameDirectory(FileSystem& fs, const std::string& a, const std::string& b) {
  const std::optional<FileStat> stat_a = fs.Stat(a);
  const std::optional<FileStat> stat_b = fs.Stat(b);
  return stat_a && stat_b && stat_a->device == stat_b->device && stat_a->inode == stat_b->inode;
}

// Adds why there is none that can be merged, and returns nullopt.
std::optional<BundleIndex> ReadIndex(FileSystem& fs, const std::string& prefix,
                                     Problems& problems) {
  const std::string path = IndexPath(prefix);
  const auto refuse = [&](Code code, std::string_view reason) {
    problems.Add(code, fmt::format("part {}: {}", prefix, reason));
    return std::nullopt;
  };
  if (!fs.Stat(path)) {
    return FindV1Files(fs, prefix).empty()
               ? refuse(Code::kNotFound, "there is no such checkpoint")
               : refuse(Code::kInvalidArgument, "it is of the old format V1");
  }
  try {
    const std::unique_ptr<MappedFile> file = fs.Map(path);
    RequireReadable(*file, path, 0, file->bytes().size());
    BundleIndex index(file->bytes(), path);
    if (!index.header().origin) {
      return refuse(Code::kInvalidArgument, "it was not written by Waypost");
    }
    if (index.header().big_endian) return refuse(Code::kUnimplemented, "it is big-endian");
    index.tensors();  // all of it is judged
    return index;
  } catch (const Error& error) {
    return refuse(error.code(), error.what());
  }
}

}  // namespace

MergeInput::MergeInput(FileSystem& fs, std::span<const std::string> parts,
                       const std::string& prefix)
    : fs_(fs) {
  Problems problems;
  RequireFileName(prefix, "merge");
  if (parts.empty()) problems.Add(Code::kInvalidArgument, "there is no part");
  for (const std::string& part : parts) {
    if (AddPrefix(part, prefix, problems)) ReadPart(prefixes_.back(), problems);
  }
  CompareTensors(problems);
  if (problems.empty()) return;
  // What changes while it is read looks damaged.
  if (const std::optional<std::string> change = FindChange()) {
    throw Error(Code::kAborted, fmt::format("merge {}: {}", prefix, *change));
  }
  problems.ThrowIfAny(fmt::format("merge {}", prefix));
}

// What is said of the names alone.  The part's name with the prefix's directory in its usual
// spelling is what locks and lock files know it by.
bool MergeInput::AddPrefix(const std::string& part, const std::string& prefix, Problems& problems) {
  RequireFileName(part, "merge part");
  const auto refuse = [&](std::string_view reason) {
    problems.Add(Code::kInvalidArgument, fmt::format("part {}: {}", part, reason));
    return false;
  };
  if (!IsSameDirectory(fs_, DirectoryOf(part), DirectoryOf(prefix))) {
    return refuse(fmt::format("it is not in the directory of {}", prefix));
  }
  std::string beside = JoinPath(DirectoryOf(prefix), BaseName(part));
  if (BaseName(part) == BaseName(prefix)) return refuse("it is what the parts are merged to");
  if (std::ranges::count(prefixes_, beside) > 0) return refuse("it is named twice");
  if (MetaGraphPath(beside) == MetaGraphPath(prefix)) {
    return refuse(fmt::format("its graph's file would be {}, as that of the merged checkpoint",
                              MetaGraphPath(prefix)));
  }
  prefixes_.push_back(std::move(beside));
  return true;
}

void MergeInput::ReadPart(const std::string& prefix, Problems& problems) {
  std::optional<BundleIndex> index = ReadIndex(fs_, prefix, problems);
  if (!index) return;
  parts_.push_back({.prefix = prefix,
                    .index = *std::move(index),
                    .first_shard = static_cast<int>(files_.size())});
  AddFiles(parts_.back(), problems);
}

// Ends at the first file that is missing: an index may say that there are billions.
void MergeInput::AddFiles(const Part& part, Problems& problems) {
  const BundleHeader& header = part.index.header();
  std::map<int, std::uint64_t> ends;  // of the tensors, by shard
  for (const StoredTensor& tensor : part.index.tensors()) {
    for (const StoredExtent& extent : tensor.extents) {
      std::uint64_t& end = ends[extent.shard];
      end = std::max(end, extent.offset + extent.size_bytes);
    }
  }
  for (int shard = 0; shard < header.shard_count; ++shard) {
    const std::string path = DataPath(part.prefix, shard, header.shard_count);
    const auto refuse = [&](Code code, const std::string& reason) {
      problems.Add(code, fmt::format("part {}: {}: {}", part.prefix, path, reason));
    };
    const std::optional<FileStat> stat = fs_.Stat(path);
    if (!stat || stat->is_directory) return refuse(Code::kDataLoss, "no such data file");
    const std::uint64_t written = AlignUp(ends[shard], kPageBytes);
    if (stat->size != written) {
      return refuse(Code::kDataLoss,
                    fmt::format("it has {} bytes and was written with {}", stat->size, written));
    }
    const std::optional<std::string> target = fs_.ReadLink(path);
    if (!target) {
      files_.push_back({path, ""});
    } else if (target->starts_with('/') &&
               IsStoredFile(*target, *ParseDataName(BaseName(path)), {header.origin->save_id})) {
      files_.push_back({*target, DirectoryOf(*target)});
    } else {
      return refuse(Code::kUnimplemented,
                    fmt::format("it is a link, to {}, that Waypost did not make", *target));
    }
  }
}

void MergeInput::CompareTensors(Problems& problems) const {
  std::vector<PartTensor> all;
  for (const Part& part : parts_) {
    for (const StoredTensor& tensor : part.index.tensors()) all.push_back({&tensor, &part.prefix});
  }
  const auto name_of = [](const PartTensor& it) -> std::string_view { return it.tensor->name; };
  std::ranges::stable_sort(all, {}, name_of);
  for (auto begin = all.begin(); begin != all.end();) {
    const auto end = std::find_if(
        begin, all.end(), [&](const PartTensor& it) { return name_of(it) != name_of(*begin); });
    if (end - begin > 1) AddMergeConflict(std::span(begin, end), problems);
    begin = end;
  }
}

std::optional<std::string> MergeInput::FindChange() const {
  for (const Part& part : parts_) {
    const std::optional<BundleHeader> now = CommittedHeader(fs_, part.prefix);
    if (now && now->origin && now->origin->save_id == part.index.header().origin->save_id) continue;
    return fmt::format("part {} was {} meanwhile", part.prefix, now ? "replaced" : "removed");
  }
  return std::nullopt;
}

void MergeInput::RequireUnchanged() const {
  if (const std::optional<std::string> change = FindChange()) throw Error(Code::kAborted, *change);
}

void MergeInput::WriteIndex(const BundleHeader& header, const TableWriter::Sink& sink) const {
  struct Item {
    const StoredTensor* tensor;
    const StoredExtent* extent;
    Shape shape;
    int first_shard;
  };
  std::vector<Item> items;
  for (const Part& part : parts_) {
    for (const StoredTensor& tensor : part.index.tensors()) {
      for (const StoredExtent& extent : tensor.extents) {
        items.push_back(
            {&tensor, &extent, SliceShape(tensor.shape, extent.slice), part.first_shard});
      }
    }
  }
  BundleIndexWriter index(header);
  for (const Item& item : items) {
    index.Add({.name = item.tensor->name,
               .dtype = item.tensor->dtype,
               .shape = item.shape,
               .full_shape = item.tensor->shape,
               .slice = item.extent->slice});
  }
  index.WriteTo(sink, [&](std::size_t number) {
    const Item& item = items[number];
    BundleEntry entry;
    entry.dtype_number = static_cast<std::int64_t>(item.tensor->dtype);
    entry.shape = item.shape;
    entry.shard = item.first_shard + item.extent->shard;
    entry.offset = static_cast<std::int64_t>(item.extent->offset);
    entry.size_bytes = static_cast<std::int64_t>(item.extent->size_bytes);
    entry.crc32c = item.extent->crc32c;
    entry.has_crc32c = true;
    entry.chunk_crc32c = item.extent->chunk_crc32c;
    return entry;
  });
}

}  // namespace waypost
