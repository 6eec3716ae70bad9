// SourceViews: the chosen tensors of a source as tensors in memory, which take none.
//
//   Source, Selection -> [SourceViews] -> SaveAsync or SaveV1
//
// A tensor that lies in a file as it is is mapped there; one that does not (slices that are joined,
// a compressed table) is written to a scratch file first, which has no name and is mapped as well.
// Only strings, and what the source itself needs to put one tensor together, are held in memory.
//
// Threads:  one.
// Errors:   those of the source; those of writing the scratch file name the target's directory.
// Lifetime: the views are borrowed from this object.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "convert/run_context.h"
#include "convert/selection.h"
#include "convert/source.h"
#include "waypost/engine.h"

namespace waypost::tool {

class SourceViews {
 public:
  // Reads and checks all of them.  The scratch file is made beside `target`.
  SourceViews(const RunContext& context, Source& source, const Selection& selection,
              const SelectionOptions& options, const std::string& target);

  const std::vector<NamedTensor>& tensors() const noexcept { return tensors_; }
  // To give them devices, by which a save cuts its files.
  std::vector<NamedTensor>& tensors() noexcept { return tensors_; }
  // Of each tensor: the CRC-32C of its bytes, or of strings that of docs/format.md, "String
  // tensors".
  const std::vector<std::uint32_t>& crc32c() const noexcept { return crc32c_; }
  // Tensors whose slices were put together.
  std::size_t joined_count() const noexcept { return joined_count_; }

 private:
  struct Unmapped {
    std::size_t view = 0;  // position in tensors_
    Piece piece;
    std::uint64_t size_bytes = 0;
    std::uint64_t offset = 0;  // in the scratch file
  };

  void Add(Source& source, const SourceTensor& tensor, const Piece& piece);
  void AddStrings(Source& source, const SourceTensor& tensor, std::size_t position);
  void Push(const SourceTensor& tensor, const Piece& piece, const void* data, std::uint32_t crc32c);
  void WriteScratch(Source& source, const std::string& target);

  const RunContext& context_;
  std::vector<NamedTensor> tensors_;
  std::vector<std::uint32_t> crc32c_;
  std::vector<Unmapped> unmapped_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::deque<std::vector<std::string>> strings_;  // a deque: places stay
  std::size_t joined_count_ = 0;
};

// Gives the tensors devices by which a sharded save cuts its files: about equal bytes in each.
void AssignShards(std::vector<NamedTensor>& tensors, std::size_t shards);

}  // namespace waypost::tool
