#include "format/table_reader.h"

#include <fmt/format.h>
#include <snappy.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "waypost/error.h"

namespace waypost {
namespace {

constexpr std::size_t kFooterBytes = 48;
constexpr std::uint64_t kMagic = 0xDB4775248B80FB57U;

// After each block: one byte for the compression, then the masked CRC of the block and that byte.
constexpr std::size_t kTrailerBytes = 5;
constexpr auto kUncompressed = std::byte{0};
constexpr auto kSnappy = std::byte{1};

// Snappy's best: a copy of 64 bytes takes 3.
constexpr std::uint64_t kSnappyExpansionMax = 22;

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
    key_bytes_ += key_.size();
    if (key_bytes_ > kKeyExpansionMax * (block_.handle.size + kTrailerBytes)) {
      Fail("the keys are implausibly long");
    }
    value_ = *value;
    is_first_ = false;
    return true;
  }

  [[noreturn]] void Fail(std::string_view reason) const {
    table_.Fail(block_.handle.offset, reason);
  }

  const std::string& key() const noexcept { return key_; }
  std::span<const std::byte> value() const noexcept { return value_; }

 private:
  const TableReader& table_;
  const Block& block_;
  ByteReader rest_;
  std::string key_;
  std::span<const std::byte> value_;
  std::uint64_t key_bytes_ = 0;  // of all keys so far
  bool is_first_ = true;
};

TableReader::TableReader(std::span<const std::byte> file, std::string path, Populate populate)
    : file_(file),
      path_(std::move(path)),
      populate_(std::move(populate)),
      blocks_(ReadIndexBlock()) {}

bool TableReader::EndsAsTable(std::span<const std::byte> file) noexcept {
  return file.size() >= kMagicBytes &&
         LoadFixed<std::uint64_t>(file.last(kMagicBytes).data()) == kMagic;
}

void TableReader::Require(std::uint64_t begin, std::uint64_t end) const {
  if (populate_) populate_(begin, end);
}

Error TableReader::Fault(std::uint64_t block_offset, std::string_view reason) const {
  return {Code::kDataLoss, fmt::format("{}: block at offset {}: {}", path_, block_offset, reason)};
}

void TableReader::Fail(std::uint64_t block_offset, std::string_view reason) const {
  throw Fault(block_offset, reason);
}

std::optional<TableReader::Handle> TableReader::ParseHandle(std::span<const std::byte>& bytes) {
  ByteReader reader(bytes);
  const auto offset = reader.ReadVarint64();
  const auto size = offset ? reader.ReadVarint64() : std::nullopt;
  if (!size) return std::nullopt;
  bytes = reader.rest();
  return Handle{*offset, *size};
}

// The metaindex block is not used for reading.
TableReader::Footer TableReader::ReadFooter() const {
  if (file_.size() < kFooterBytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: {} bytes are too few for an index", path_, file_.size()));
  }
  Require(file_.size() - kFooterBytes, file_.size());
  auto footer = file_.last(kFooterBytes);
  if (!EndsAsTable(footer)) {
    throw Error(Code::kDataLoss, path_ + ": no index, or cut off (bad magic number)");
  }
  footer = footer.first(kFooterBytes - kMagicBytes);
  const auto metaindex = ParseHandle(footer);
  const auto index = metaindex ? ParseHandle(footer) : std::nullopt;
  if (!index) throw Error(Code::kDataLoss, path_ + ": malformed footer");
  return {*metaindex, *index};
}

void TableReader::RequireWithinFile(const Handle& handle) const {
  const std::uint64_t limit = file_.size() - kFooterBytes;
  if (handle.offset > limit || limit - handle.offset < kTrailerBytes ||
      handle.size > limit - handle.offset - kTrailerBytes) {
    Fail(handle.offset, "it reaches beyond the file");
  }
}

// The block and its compression byte, as the file has them.
std::span<const std::byte> TableReader::VerifiedBytes(const Handle& handle) const {
  RequireWithinFile(handle);
  Require(handle.offset, handle.offset + handle.size + kTrailerBytes);
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
    Fail(block.handle.offset, "malformed snappy data");
  }
  block.storage.resize(size);
  if (!snappy::RawUncompress(text.data(), text.size(), block.storage.data())) {
    Fail(block.handle.offset, "malformed snappy data");
  }
  block.entries = std::as_bytes(std::span(block.storage));
}

// The restart array is for binary search, which a block of 256 KiB does not need; but it must be
// there.
void TableReader::RemoveRestarts(Block& block) const {
  constexpr std::size_t kWord = sizeof(std::uint32_t);
  const std::size_t size = block.entries.size();
  if (size < kWord) Fail(block.handle.offset, "too short");
  const std::size_t restarts = LoadFixed<std::uint32_t>(block.entries.last(kWord).data());
  if (restarts > size / kWord - 1) Fail(block.handle.offset, "malformed restart array");
  block.entries = block.entries.first(size - kWord * (restarts + 1));
}

TableReader::Block TableReader::ReadBlock(const Handle& handle) const {
  const auto bytes = VerifiedBytes(handle);
  Block block{{}, bytes.first(bytes.size() - 1), handle};
  const std::byte compression = bytes.back();
  if (compression == kSnappy) {
    Uncompress(block);
  } else if (compression != kUncompressed) {
    Fail(block.handle.offset,
         fmt::format("unknown compression {}", std::to_integer<int>(compression)));
  }
  RemoveRestarts(block);
  return block;
}

// Blocks follow one another: a file that leads to one block again and again would cost a multiple
// of its size.
std::vector<TableReader::DataBlock> TableReader::ReadIndexBlock() const {
  const Block block = ReadBlock(ReadFooter().index);
  std::vector<DataBlock> blocks;
  std::uint64_t begin = 0;
  for (Cursor entry(*this, block); entry.Next();) {
    auto bytes = entry.value();
    const auto handle = ParseHandle(bytes);
    if (!handle) entry.Fail("malformed block handle");
    if (handle->offset < begin) entry.Fail("the data blocks overlap or are out of order");
    RequireWithinFile(*handle);
    begin = handle->offset + handle->size + kTrailerBytes;
    blocks.push_back({entry.key(), *handle});
  }
  return blocks;
}

std::size_t TableReader::BlockOf(std::string_view key) const noexcept {
  const auto block = std::lower_bound(
      blocks_.begin(), blocks_.end(), key,
      [](const DataBlock& data, std::string_view wanted) { return data.last_key < wanted; });
  return static_cast<std::size_t>(block - blocks_.begin());
}

void TableReader::ForEachIn(std::size_t block, const Visitor& visit) const {
  const Block content = ReadBlock(blocks_[block].handle);
  bool is_first = true;
  Cursor entry(*this, content);
  while (entry.Next()) {
    if (std::exchange(is_first, false) && block > 0 && entry.key() <= blocks_[block - 1].last_key) {
      entry.Fail("its keys belong to an earlier block");
    }
    visit(entry.key(), entry.value());
  }
  if (entry.key() > blocks_[block].last_key) entry.Fail("its keys belong to a later block");
}

void TableReader::ForEach(const Visitor& visit) const {
  for (std::size_t block = 0; block < block_count(); ++block) ForEachIn(block, visit);
}

std::optional<std::string> TableReader::Find(std::string_view key) const {
  const std::size_t number = BlockOf(key);
  if (number == block_count()) return std::nullopt;
  const Block block = ReadBlock(blocks_[number].handle);
  for (Cursor entry(*this, block); entry.Next();) {
    if (entry.key() == key) return std::string(AsText(entry.value()));
    if (entry.key() > key) break;
  }
  return std::nullopt;
}

std::vector<std::string> TableReader::FindUnreadDamage() const {
  std::vector<std::string> damage;
  const Footer footer = ReadFooter();
  std::uint64_t end = 0;  // of the blocks so far
  const auto follow = [&](const Handle& handle) {
    if (handle.offset != end) {
      damage.emplace_back(
          Fault(handle.offset, fmt::format("the one before it ends at offset {}", end)).what());
    }
    end = handle.offset + handle.size + kTrailerBytes;
  };
  for (const DataBlock& block : blocks_) follow(block.handle);
  try {
    VerifiedBytes(footer.metaindex);
  } catch (const Error& error) {
    damage.emplace_back(error.what());
  }
  follow(footer.metaindex);
  follow(footer.index);
  const std::uint64_t blocks_end = file_.size() - kFooterBytes;
  if (end != blocks_end) {
    damage.push_back(fmt::format("{}: the blocks end at offset {} and not at the footer's, {}",
                                 path_, end, blocks_end));
  }
  std::string written;
  for (const Handle& handle : {footer.metaindex, footer.index}) {
    AppendVarint(written, handle.offset);
    AppendVarint(written, handle.size);
  }
  written.resize(kFooterBytes - kMagicBytes);
  const auto stored = AsText(file_.last(kFooterBytes).first(written.size()));
  const auto differ = std::ranges::mismatch(written, stored);
  if (differ.in2 != stored.end()) {
    damage.push_back(
        fmt::format("{}: footer: byte at offset {} is not as it is written", path_,
                    blocks_end + static_cast<std::uint64_t>(differ.in2 - stored.begin())));
  }
  return damage;
}

}  // namespace waypost
