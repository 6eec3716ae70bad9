// A safetensors file, or a set of them, as a source.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/escape.h"
#include "convert/mapped_bytes.h"
#include "convert/source.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

class SafetensorsSource final : public Source {
 public:
  SafetensorsSource(FileSystem& fs, const std::string& path) {
    if (path.ends_with(kSafetensorsIndexEnd)) {
      OpenSet(fs, path);
    } else {
      OpenFile(fs, path);
    }
    std::ranges::sort(
        stored_, {}, [](const Stored& stored) -> const std::string& { return stored.tensor.name; });
    for (const Stored& stored : stored_) {
      tensors_.push_back({.name = stored.tensor.name,
                          .dtype = stored.tensor.dtype->dtype,
                          .dtype_name = std::string(stored.tensor.dtype->name),
                          .shape = stored.tensor.shape});
    }
  }

  const std::vector<SourceTensor>& tensors() const override { return tensors_; }

  void Stream(const Piece& piece, const Sink& sink) override {
    const Stored& stored = stored_[piece.tensor];
    ReadMapped(*stored.file->mapping, stored.tensor.begin, stored.tensor.end,
               fmt::format("{}: tensor {}", stored.file->path, Printable(stored.tensor.name)),
               sink);
  }

  std::vector<std::string> Strings(std::size_t /*tensor*/) override { return {}; }

  std::optional<MappedPiece> Map(const Piece& piece,
                                 const std::function<void(std::size_t)>& on_bytes) override {
    const Stored& stored = stored_[piece.tensor];
    MappedPiece mapped = {.file = stored.file->mapping,
                          .bytes = stored.file->mapping->bytes().subspan(
                              static_cast<std::size_t>(stored.tensor.begin),
                              static_cast<std::size_t>(stored.tensor.end - stored.tensor.begin))};
    Stream(piece, [&](std::span<const std::byte> bytes) {
      mapped.crc32c = ExtendCrc32c(mapped.crc32c, bytes);
      on_bytes(bytes.size());
    });
    return mapped;
  }

  SafetensorsMetadata metadata(const SafetensorsMetadata& given) const override {
    SafetensorsMetadata metadata = given;
    for (const auto& [path, of_file] : metadata_) {
      for (const auto& [key, value] : of_file) {
        const auto there = metadata.try_emplace(key, value).first;
        if (there->second == value || given.contains(key)) continue;
        throw Error(Code::kInvalidArgument,
                    fmt::format("{}: its metadata {} differs from that of another file of the set; "
                                "--metadata says which it is to be",
                                path, Printable(key)));
      }
    }
    return metadata;
  }
  std::vector<std::string> files() const override { return paths_; }

 private:
  struct File {
    std::string path;
    std::shared_ptr<const MappedFile> mapping;
  };
  struct Stored {
    SafetensorsTensor tensor;
    std::shared_ptr<const File> file;
  };

  // The names of its tensors.
  std::set<std::string> OpenFile(FileSystem& fs, const std::string& path) {
    paths_.push_back(path);
    auto file = std::make_shared<File>(File{path, fs.Map(path)});
    SafetensorsHeader header = ParseSafetensors(file->mapping->bytes(), path);
    metadata_.emplace_back(path, std::move(header.metadata));
    std::set<std::string> names;
    for (SafetensorsTensor& tensor : header.tensors) {
      names.insert(tensor.name);
      stored_.push_back({std::move(tensor), file});
    }
    return names;
  }

  void OpenSet(FileSystem& fs, const std::string& path) {
    paths_.push_back(path);
    std::map<std::string, std::set<std::string>> wanted;  // by file
    for (auto& [name, file] :
         ParseSafetensorsIndex(AsBytes(ReadFile(fs, path, kSafetensorsHeaderBytesMax)), path)) {
      wanted[file].insert(name);
    }
    for (const auto& [file, names] : wanted) {
      const std::string file_path = JoinPath(DirectoryOf(path), file);
      if (!fs.Stat(file_path)) {
        throw Error(Code::kDataLoss,
                    fmt::format("{}: it is missing, and {} names it", file_path, path));
      }
      RequireSame(OpenFile(fs, file_path), names, file_path, path);
    }
  }

  // A tensor that only one of the two knows of would be lost, or is.
  static void RequireSame(const std::set<std::string>& held, const std::set<std::string>& named,
                          const std::string& file, const std::string& index) {
    std::vector<std::string> differing;
    std::ranges::set_symmetric_difference(held, named, std::back_inserter(differing));
    if (differing.empty()) return;
    const std::string& name = differing.front();
    throw Error(Code::kDataLoss, held.contains(name)
                                     ? fmt::format("{}: tensor {} is not in the weight_map of {}",
                                                   file, Printable(name), index)
                                     : fmt::format("{}: tensor {} is not there, and {} says so",
                                                   file, Printable(name), index));
  }

  std::vector<SourceTensor> tensors_;
  std::vector<Stored> stored_;  // in the same order
  std::vector<std::string> paths_;
  std::vector<std::pair<std::string, SafetensorsMetadata>> metadata_;  // of each file
};

}  // namespace

std::unique_ptr<Source> OpenSafetensorsSource(FileSystem& fs, const std::string& path) {
  return std::make_unique<SafetensorsSource>(fs, path);
}

}  // namespace waypost::tool
