#include "convert/v1_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/crc32c.h"
#include "base/escape.h"
#include "device/device_registry.h"
#include "format/string_tensor.h"
#include "format/v1_names.h"
#include "save/v1_save.h"

namespace waypost::tool {
namespace {

// A tensor of the source, or a slice of it, as it stands in the target.
std::optional<Piece> FindPiece(const Source& target, const NamedTensor& wanted) {
  const auto found =
      std::ranges::lower_bound(target.tensors(), wanted.name, {}, &SourceTensor::name);
  if (found == target.tensors().end() || found->name != wanted.name ||
      found->dtype != wanted.tensor.dtype()) {
    return std::nullopt;
  }
  Piece piece = {.tensor = static_cast<std::size_t>(found - target.tensors().begin())};
  if (wanted.slice.IsWhole()) return piece;
  const auto slice = std::ranges::find(found->slices, wanted.slice);
  if (slice == found->slices.end()) return std::nullopt;
  piece.slice = static_cast<std::size_t>(slice - found->slices.begin());
  return piece;
}

std::uint32_t ReadBack(const RunContext& context, Source& target, const Piece& piece) {
  if (target.tensors()[piece.tensor].dtype == DType::kString) {
    return EncodeStrings(target.Strings(piece.tensor)).crc32c;
  }
  std::uint32_t crc32c = 0;
  target.Stream(piece, [&](std::span<const std::byte> bytes) {
    crc32c = ExtendCrc32c(crc32c, bytes);
    context.Advance(bytes.size());
  });
  return crc32c;
}

}  // namespace

V1Written WriteV1(const RunContext& context, SourceViews& views, const std::string& prefix,
                  std::size_t shards) {
  std::vector<std::unique_ptr<Device>> host;
  host.push_back(MakeHostDevice());
  if (shards > 1) AssignShards(views.tensors(), shards);
  V1SaveResult saved = SaveV1(context.fs, DeviceRegistry(std::move(host)), prefix, views.tensors(),
                              {.sharded = shards > 1, .stop = context.stop});
  return {.path = std::move(saved.path),
          .files = std::move(saved.files),
          .warnings = std::move(saved.warnings)};
}

void VerifyV1(const RunContext& context, const SourceViews& views, const std::string& path) {
  const std::unique_ptr<Source> target = OpenCheckpointSource(path);
  for (std::size_t i = 0; i < views.tensors().size(); ++i) {
    const NamedTensor& tensor = views.tensors()[i];
    const std::optional<Piece> piece = FindPiece(*target, tensor);
    if (piece && ReadBack(context, *target, *piece) == views.crc32c()[i]) continue;
    throw Error(Code::kDataLoss, fmt::format("{}: tensor {} reads back other than in the source",
                                             path, Printable(tensor.name)));
  }
}

std::vector<std::string> V1CheckpointsAt(FileSystem& fs, const std::string& prefix) {
  std::vector<std::string> paths;
  if (const std::optional<FileStat> stat = fs.Stat(prefix); stat && !stat->is_directory) {
    paths.push_back(prefix);
  }
  const std::string directory = DirectoryOf(prefix);
  if (!fs.Stat(directory)) return paths;
  std::set<int> counts;
  for (const std::string& name : fs.List(directory)) {
    const std::optional<V1ShardName> shard = ParseV1ShardPath(name);
    if (shard && shard->prefix == BaseName(prefix)) counts.insert(shard->shard_count);
  }
  for (const int count : counts) paths.push_back(V1ShardedPath(prefix, count));
  return paths;
}

}  // namespace waypost::tool
