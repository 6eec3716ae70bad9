// A checkpoint of TensorFlow's formats, V1 or V2, as a source.
#include <fmt/format.h>

#include "convert/source.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "inspect/checkpoint.h"
#include "restore/bundle_reader.h"
#include "restore/mapped_load.h"
#include "restore/part_checker.h"
#include "restore/tensor_stream.h"

namespace waypost::tool {
namespace {

class CountingChecker final : public PartChecker {
 public:
  CountingChecker(const StoredCheckpoint& reader, const std::function<void(std::size_t)>& on_bytes)
      : PartChecker(reader), on_bytes_(on_bytes) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    on_bytes_(bytes.size());
    PartChecker::OnBytes(part, offset, bytes);
  }

 private:
  const std::function<void(std::size_t)>& on_bytes_;
};

class PieceConsumer final : public PartConsumer {
 public:
  explicit PieceConsumer(const Source::Sink& sink) : sink_(sink) {}

  void OnBytes(const LoadPart& /*part*/, std::uint64_t /*offset*/,
               std::span<const std::byte> bytes) override {
    sink_(bytes);
  }
  void OnPartDone(const LoadPart& /*part*/) override {}
  [[noreturn]] void OnDamage(const LoadPart& /*part*/, const Error& error) override { throw error; }

 private:
  const Source::Sink& sink_;
};

class CheckpointSource final : public Source {
 public:
  explicit CheckpointSource(const std::string& prefix) : checkpoint_(prefix) {
    for (const StoredTensor& stored : checkpoint_.tensors()) {
      SourceTensor& tensor = tensors_.emplace_back();
      tensor.name = stored.name;
      tensor.dtype = stored.dtype;
      tensor.dtype_name = DTypeName(stored.dtype);
      tensor.shape = stored.shape;
      if (!stored.is_sliced) continue;
      for (const StoredExtent& extent : stored.extents) tensor.slices.push_back(extent.slice);
      tensor.has_holes = HasHoles(stored);
    }
  }

  const std::vector<SourceTensor>& tensors() const override { return tensors_; }

  void Stream(const Piece& piece, const Sink& sink) override {
    const StoredTensor& stored = Stored(piece.tensor);
    if (!piece.slice) {
      checkpoint_.Stream(stored, sink);
      return;
    }
    PieceConsumer consumer(sink);
    checkpoint_.loader().Load(checkpoint_.reader(), {PartOf(piece)}, consumer);
  }

  std::vector<std::string> Strings(std::size_t tensor) override {
    return checkpoint_.Strings(Stored(tensor));
  }

  std::optional<MappedPiece> Map(const Piece& piece,
                                 const std::function<void(std::size_t)>& on_bytes) override {
    const BundleReader* const bundle = checkpoint_.reader().bundle();
    if (bundle == nullptr) return std::nullopt;  // V1's elements are encoded, mostly
    if (Stored(piece.tensor).is_sliced && !piece.slice) return std::nullopt;
    const LoadPart part = PartOf(piece);
    RequireThere(part);
    std::shared_ptr<const MappedFile>& file = files_[part.extent->shard];
    if (file == nullptr) file = bundle->RequireDataFile(part.extent->shard)->Map();
    CountingChecker checker(checkpoint_.reader(), on_bytes);
    LoadMapped(checkpoint_.reader(), *file, std::span(&part, 1), checker, {});
    return MappedPiece{.file = file,
                       .bytes = file->bytes().subspan(
                           static_cast<std::size_t>(part.file_begin()),
                           static_cast<std::size_t>(part.file_end() - part.file_begin())),
                       .crc32c = part.extent->crc32c};
  }

  std::optional<std::string> MetaGraphFile() const override {
    FileSystem& fs = PosixFileSystem();
    const std::string& prefix = checkpoint_.reader().prefix();
    const std::string path = MetaGraphPath(prefix);
    const BundleReader* const bundle = checkpoint_.reader().bundle();
    const std::optional<BundleHeader::Origin> origin =
        bundle == nullptr ? std::nullopt : bundle->index().header().origin;
    if (!origin) {  // TensorFlow's files do not say
      return fs.Stat(path) ? std::optional(path) : std::nullopt;
    }
    if (origin->meta_size == 0) return std::nullopt;
    if (std::optional<std::string> file = FindMetaGraph(fs, prefix, *origin)) return file;
    throw Error(Code::kDataLoss,
                fmt::format("{}: it is missing or not what {} names; --no-meta leaves it out", path,
                            IndexPath(prefix)));
  }

  std::vector<std::string> files() const override {
    const StoredCheckpoint& reader = checkpoint_.reader();
    std::vector<std::string> files;
    if (reader.bundle() != nullptr) files.push_back(IndexPath(reader.prefix()));
    for (int shard = 0; shard < reader.shard_count(); ++shard) {
      files.push_back(reader.DataFilePath(shard));
    }
    return files;
  }

 private:
  const StoredTensor& Stored(std::size_t tensor) const { return checkpoint_.tensors()[tensor]; }

  LoadPart PartOf(const Piece& piece) const {
    const StoredTensor& stored = Stored(piece.tensor);
    return WholeExtent(stored, stored.extents[piece.slice.value_or(0)]);
  }

  // Requires: it is a bundle.
  void RequireThere(const LoadPart& part) const {
    try {
      RequirePresent(checkpoint_.reader(), part);
    } catch (const Error& error) {
      throw Error(Code::kDataLoss, error.what());  // the checkpoint itself is there
    }
  }

  Checkpoint checkpoint_;
  std::vector<SourceTensor> tensors_;
  std::unordered_map<int, std::shared_ptr<const MappedFile>> files_;  // by shard
};

}  // namespace

std::unique_ptr<Source> OpenCheckpointSource(const std::string& prefix) {
  return std::make_unique<CheckpointSource>(prefix);
}

}  // namespace waypost::tool
