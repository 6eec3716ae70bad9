#include "format/table_reader.h"

#include <fmt/format.h>
#include <snappy.h>

#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::size_t kFooterBytes = 48;
constexpr std::size_t kMagicBytes = 8;
constexpr std::uint64_t kMagic = 0xDB4775248B80FB57U;

// After each block: one byte for the compression, then the masked CRC of the block and that byte.
constexpr std::size_t kTrailerBytes = 5;
constexpr auto kUncompressed = std::byte{0};
constexpr auto kSnappy = std::byte{1};

// Snappy's best: a copy of 64 bytes takes 3.
constexpr std::uint64_t kSnappyExpansionMax = 22;

// Small files may hold a long key more than once.
constexpr std::uint64_t kKeyBytesFree = 1 << 20;

}  // namespace

// Walks the entries of a block.
class TableReader::Cursor {
 public:
  Cursor(const TableReader& table, const Block& block)
      : table_(table), block_(block), rest_(block.entries) {}

  // False at the block's end.
  bool Next() {
    if (rest_.remaining() == 0) return false;
    const auto shared = rest_.ReadVarint32();
    const auto unshared = shared ? rest_.ReadVarint32() : std::nullopt;
    const auto value_size = unshared ? rest_.ReadVarint32() : std::nullopt;
    const auto suffix = value_size ? rest_.ReadBytes(*unshared) : std::nullopt;
    const auto value = suffix ? rest_.ReadBytes(*value_size) : std::nullopt;
    if (!value) Fail("an entry is cut off or malformed");
    if (*shared > key_.size()) Fail("a key shares more than the key before it has");
    // The shared bytes are equal, so the order is that of the rest.
    if (!is_first_ && std::string_view(key_).substr(*shared) >= AsText(*suffix)) {
      Fail("the keys do not ascend");
    }
    key_.resize(*shared);
    key_ += AsText(*suffix);
    value_ = *value;
    is_first_ = false;
    return true;
  }

  [[noreturn]] void Fail(std::string_view reason) const { table_.Fail(block_.offset, reason); }

  const std::string& key() const noexcept { return key_; }
  std::span<const std::byte> value() const noexcept { return value_; }

 private:
  const TableReader& table_;
  const Block& block_;
  ByteReader rest_;
  std::string key_;
  std::span<const std::byte> value_;
  bool is_first_ = true;
};

TableReader::TableReader(std::span<const std::byte> file, std::string path)
    : file_(file), path_(std::move(path)), index_(ReadBlock(ReadFooter())) {}

void TableReader::Fail(std::uint64_t block_offset, std::string_view reason) const {
  throw Error(Code::kDataLoss,
              fmt::format("{}: block at offset {}: {}", path_, block_offset, reason));
}

std::optional<TableReader::Handle> TableReader::ParseHandle(std::span<const std::byte>& bytes) {
  ByteReader reader(bytes);
  const auto offset = reader.ReadVarint64();
  const auto size = offset ? reader.ReadVarint64() : std::nullopt;
  if (!size) return std::nullopt;
  bytes = reader.rest();
  return Handle{*offset, *size};
}

// The handle of the index block.  That of the metaindex block comes first and is not used.
TableReader::Handle TableReader::ReadFooter() const {
  if (file_.size() < kFooterBytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: {} bytes are too few for an index", path_, file_.size()));
  }
  auto footer = file_.last(kFooterBytes);
  if (LoadFixed<std::uint64_t>(footer.last(kMagicBytes).data()) != kMagic) {
    throw Error(Code::kDataLoss, path_ + ": no index, or cut off (bad magic number)");
  }
  footer = footer.first(kFooterBytes - kMagicBytes);
  const auto metaindex = ParseHandle(footer);
  const auto index = metaindex ? ParseHandle(footer) : std::nullopt;
  if (!index) throw Error(Code::kDataLoss, path_ + ": malformed footer");
  return *index;
}

// The block and its compression byte, as the file has them.
std::span<const std::byte> TableReader::VerifiedBytes(const Handle& handle) const {
  const std::uint64_t limit = file_.size() - kFooterBytes;
  if (handle.offset > limit || limit - handle.offset < kTrailerBytes ||
      handle.size > limit - handle.offset - kTrailerBytes) {
    Fail(handle.offset, "it reaches beyond the file");
  }
  const auto stored = file_.subspan(static_cast<std::size_t>(handle.offset),
                                    static_cast<std::size_t>(handle.size) + kTrailerBytes);
  const auto checked = stored.first(stored.size() - sizeof(std::uint32_t));
  if (LoadFixed<std::uint32_t>(checked.data() + checked.size()) != MaskCrc32c(Crc32c(checked))) {
    Fail(handle.offset, "checksum mismatch");
  }
  return checked;
}

void TableReader::Uncompress(Block& block) const {
  const std::string_view text = AsText(block.entries);
  std::size_t size = 0;
  // The size is the file's word; it is believed only as far as the compressed bytes can bear it
  // out.
  if (!snappy::GetUncompressedLength(text.data(), text.size(), &size) ||
      size > kSnappyExpansionMax * text.size()) {
    Fail(block.offset, "malformed snappy data");
  }
  block.storage.resize(size);
  if (!snappy::RawUncompress(text.data(), text.size(), block.storage.data())) {
    Fail(block.offset, "malformed snappy data");
  }
  block.entries = std::as_bytes(std::span(block.storage));
}

// The restart array is for binary search, which a block of 256 KiB does not need; but it must be
// there.
void TableReader::RemoveRestarts(Block& block) const {
  constexpr std::size_t kWord = sizeof(std::uint32_t);
  const std::size_t size = block.entries.size();
  if (size < kWord) Fail(block.offset, "too short");
  const std::size_t restarts = LoadFixed<std::uint32_t>(block.entries.last(kWord).data());
  if (restarts > size / kWord - 1) Fail(block.offset, "malformed restart array");
  block.entries = block.entries.first(size - kWord * (restarts + 1));
}

TableReader::Block TableReader::ReadBlock(const Handle& handle) const {
  const auto bytes = VerifiedBytes(handle);
  Block block{{}, bytes.first(bytes.size() - 1), handle.offset};
  const std::byte compression = bytes.back();
  if (compression == kSnappy) {
    Uncompress(block);
  } else if (compression != kUncompressed) {
    Fail(block.offset, fmt::format("unknown compression {}", std::to_integer<int>(compression)));
  }
  RemoveRestarts(block);
  return block;
}

// The data block that the index's current entry names.  Blocks follow one another: a file that
// leads to one block again and again would cost a multiple of its size.
TableReader::Handle TableReader::DataHandle(const Cursor& index, std::uint64_t begin) const {
  auto bytes = index.value();
  const auto handle = ParseHandle(bytes);
  if (!handle) index.Fail("malformed block handle");
  if (handle->offset < begin) index.Fail("the data blocks overlap or are out of order");
  return *handle;
}

void TableReader::ForEach(const Visitor& visit) const {
  std::string last_key;  // the greatest key that the blocks so far may hold
  bool is_first_block = true;
  std::uint64_t begin = 0;
  std::uint64_t key_bytes = 0;
  const std::uint64_t key_bytes_max = kKeyBytesFree + kKeyExpansionMax * file_.size();
  for (Cursor index(*this, index_); index.Next();) {
    const Handle handle = DataHandle(index, begin);
    const Block block = ReadBlock(handle);
    begin = handle.offset + handle.size + kTrailerBytes;
    bool follows_block = !is_first_block;
    Cursor entry(*this, block);
    while (entry.Next()) {
      if (follows_block && entry.key() <= last_key)
        entry.Fail("its keys belong to an earlier block");
      follows_block = false;
      key_bytes += entry.key().size();
      if (key_bytes > key_bytes_max) entry.Fail("the keys are implausibly long");
      visit(entry.key(), entry.value());
    }
    if (entry.key() > index.key()) entry.Fail("its keys belong to a later block");
    last_key = index.key();
    is_first_block = false;
  }
}

std::optional<std::string> TableReader::Find(std::string_view key) const {
  Cursor index(*this, index_);
  do {
    if (!index.Next()) return std::nullopt;
  } while (index.key() < key);
  const Block block = ReadBlock(DataHandle(index, 0));
  for (Cursor entry(*this, block); entry.Next();) {
    if (entry.key() == key) return std::string(AsText(entry.value()));
    if (entry.key() > key) break;
  }
  return std::nullopt;
}

}  // namespace waypost
