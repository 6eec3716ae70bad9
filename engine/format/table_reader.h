// TableReader reads the sorted table that an index file is (docs/format.md, "The table"), over
// bytes that may be anything.
//
//   MappedFile -> [TableReader] -> BundleIndex
//
// It never looks outside the file, checks the checksum of each block before using it, and allocates
// one key and, for a compressed block, that block: no more than a small multiple of the file.  The
// keys of a block may be at most kKeyExpansionMax times its bytes, so that a caller that keeps them
// stays within bounds as well.
//
// Each block can be read by itself: the index block, which is read and checked when the reader is
// made, says which keys a data block may hold, and a block with others is refused.
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

#include "waypost/error.h"

namespace waypost {

class TableReader {
 public:
  // Prefix compression over 16 keys, as every writer known has it, gives 16 at the most.
  static constexpr std::uint64_t kKeyExpansionMax = 64;

  static constexpr std::size_t kMagicBytes = 8;
  // Whether the file's last bytes are the magic number.
  static bool EndsAsTable(std::span<const std::byte> file) noexcept;

  // Key and value are good for the call only.
  using Visitor = std::function<void(std::string_view key, std::span<const std::byte> value)>;

  // Is called with each range of the file before it is looked at, and throws when it cannot be
  // read.
  using Populate = std::function<void(std::uint64_t begin, std::uint64_t end)>;

  // Reads the footer and the index block.  `path` is for messages.
  TableReader(std::span<const std::byte> file, std::string path, Populate populate = {});
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;

  // Data blocks; all keys of one are less than those of the next.
  std::size_t block_count() const noexcept { return blocks_.size(); }
  // The only block that may hold `key`; block_count() when none may.
  std::size_t BlockOf(std::string_view key) const noexcept;
  // Calls `visit` for each entry of a block, the keys strictly ascending.  That all of them belong
  // into this block is known when it returns.
  void ForEachIn(std::size_t block, const Visitor& visit) const;
  // The same for all blocks.
  void ForEach(const Visitor& visit) const;

  // The value of `key`, reading no more than one data block.
  std::optional<std::string> Find(std::string_view key) const;

  // What is wrong with the bytes that no reading needs: those of no block, the metaindex block, a
  // footer that is not just its handles, zeros and magic number.  Together with the checksums of
  // the data blocks that is every byte of the file.  A line for each; no writer known leaves any.
  std::vector<std::string> FindUnreadDamage() const;

 private:
  // Where a block is, without its trailer.
  struct Handle {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  struct Footer {
    Handle metaindex;
    Handle index;
  };
  // The entries of a block; `storage` holds them where the block was compressed.
  struct Block {
    std::vector<char> storage;  // no std::string: `entries` must stay good when it moves
    std::span<const std::byte> entries;
    Handle handle;
  };
  // What the index block says of a data block.
  struct DataBlock {
    std::string last_key;  // its keys are not greater, and those of the next block are
    Handle handle;
  };
  class Cursor;

  static std::optional<Handle> ParseHandle(std::span<const std::byte>& bytes);
  void Require(std::uint64_t begin, std::uint64_t end) const;
  Footer ReadFooter() const;
  void RequireWithinFile(const Handle& handle) const;
  Block ReadBlock(const Handle& handle) const;
  std::span<const std::byte> VerifiedBytes(const Handle& handle) const;
  void Uncompress(Block& block) const;
  void RemoveRestarts(Block& block) const;
  std::vector<DataBlock> ReadIndexBlock() const;
  Error Fault(std::uint64_t block_offset, std::string_view reason) const;
  [[noreturn]] void Fail(std::uint64_t block_offset, std::string_view reason) const;

  std::span<const std::byte> file_;
  std::string path_;
  Populate populate_;
  std::vector<DataBlock> blocks_;
};

}  // namespace waypost
