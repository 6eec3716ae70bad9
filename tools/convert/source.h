// Source: a checkpoint that is converted, whatever its kind.
//
//   [Source] -> Selection -> SourceViews -> SaveAsync or SaveV1
//                         -> SafetensorsTarget
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "convert/checkpoint_kind.h"
#include "format/safetensors_reader.h"
#include "io/file_system.h"
#include "waypost/tensor.h"

namespace waypost::tool {

struct SourceTensor {
  std::string name;
  DType dtype = DType::kInvalid;  // kInvalid: one that Waypost does not have
  std::string dtype_name;         // as the source calls it
  Shape shape;
  std::vector<TensorSlice> slices = {};  // as stored; none for a tensor stored whole
  bool has_holes = false;                // its slices do not cover it

  // Of the whole tensor; 0 for types without a size.  Requires: a count that fits (all sources
  // see to that).
  std::uint64_t size_bytes() const;
};

// A tensor, or one of its stored slices.
struct Piece {
  std::size_t tensor = 0;
  std::optional<std::size_t> slice = {};
};

// Bytes where they lie in a file of the source, and their CRC-32C.
struct MappedPiece {
  std::shared_ptr<const MappedFile> file;
  std::span<const std::byte> bytes;
  std::uint32_t crc32c = 0;
};

// Threads:  one.
// Errors:   kDataLoss for damage, with file and tensor.
// Lifetime: mapped pieces outlive it.
class Source {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  virtual ~Source() = default;

  // Ascending by name.
  virtual const std::vector<SourceTensor>& tensors() const = 0;
  // Of a tensor with a fixed element size: gives `sink` all bytes in order, in pieces of at most a
  // few MiB where the source stores them so, each checked as far as the source has checksums.
  virtual void Stream(const Piece& piece, const Sink& sink) = 0;
  // The checked elements of a string tensor.
  virtual std::vector<std::string> Strings(std::size_t tensor) = 0;
  // nullopt where the bytes do not lie in a file as they are.  `on_bytes` is told of bytes read.
  virtual std::optional<MappedPiece> Map(const Piece& piece,
                                         const std::function<void(std::size_t)>& on_bytes) = 0;

  // The `__metadata__` for a safetensors target: what is `given`, and all else that the source has.
  virtual SafetensorsMetadata metadata(const SafetensorsMetadata& given) const { return given; }
  // The file that holds its MetaGraphDef.
  virtual std::optional<std::string> MetaGraphFile() const { return std::nullopt; }
  // Files of which none may be written over meanwhile.
  virtual std::vector<std::string> files() const = 0;
};

std::unique_ptr<Source> OpenCheckpointSource(const std::string& prefix);
std::unique_ptr<Source> OpenSafetensorsSource(FileSystem& fs, const std::string& path);

std::unique_ptr<Source> OpenSource(FileSystem& fs, const FoundCheckpoint& checkpoint);

}  // namespace waypost::tool
