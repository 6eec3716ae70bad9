// TableReader reads the sorted table that an index file is (docs/format.md, "The table"), over
// bytes that may be anything.
//
//   MappedFile -> [TableReader] -> BundleIndex
//
// It never looks outside the file, checks the checksum of each block before using it, and allocates
// one key and, for a compressed block, that block: no more than a small multiple of the file.  All
// keys together may be at most kKeyExpansionMax times the file's bytes, so that a caller that keeps
// them stays within bounds as well.
//
// Threads:  any number at once.
// Errors:   kDataLoss with the file, the offset of the block and the reason.
// Lifetime: `file` is borrowed and must outlive the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

class TableReader {
 public:
  // Prefix compression over 16 keys, as every writer known has it, gives 16 at the most.
  static constexpr std::uint64_t kKeyExpansionMax = 64;

  // Key and value are good for the call only.
  using Visitor = std::function<void(std::string_view key, std::span<const std::byte> value)>;

  // Reads the footer and the index block.  `path` is for messages.
  TableReader(std::span<const std::byte> file, std::string path);
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

  // Calls `visit` for each entry, the keys strictly ascending.
  void ForEach(const Visitor& visit) const;

  // The value of `key`, reading no more than one data block.
  std::optional<std::string> Find(std::string_view key) const;

 private:
  // Where a block is, without its trailer.
  struct Handle {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  // The entries of a block; `storage` holds them where the block was compressed.
  struct Block {
    std::vector<char> storage;  // no std::string: `entries` must stay good when it moves
    std::span<const std::byte> entries;
    std::uint64_t offset = 0;  // of the block in the file
  };
  class Cursor;

  static std::optional<Handle> ParseHandle(std::span<const std::byte>& bytes);
  Handle ReadFooter() const;
  Block ReadBlock(const Handle& handle) const;
  std::span<const std::byte> VerifiedBytes(const Handle& handle) const;
  void Uncompress(Block& block) const;
  void RemoveRestarts(Block& block) const;
  Handle DataHandle(const Cursor& index, std::uint64_t begin) const;
  [[noreturn]] void Fail(std::uint64_t block_offset, std::string_view reason) const;

  std::span<const std::byte> file_;
  std::string path_;
  Block index_;
};

}  // namespace waypost
