#include "restore/v1_load.h"

#include <optional>
#include <span>
#include <utility>

#include "base/crc32c.h"
#include "base/units.h"
#include "format/string_tensor.h"
#include "format/v1_slice_values.h"
#include "waypost/error.h"

namespace waypost {
namespace {

class V1Load {
 public:
  V1Load(const StoredCheckpoint& checkpoint, PartConsumer& consumer, BufferPool& pool,
         const std::stop_token& stop)
      : checkpoint_(checkpoint), consumer_(consumer), pool_(pool), stop_(stop) {}

  // `parts` are of one file.
  void LoadFile(std::span<const LoadPart> parts) {
    std::vector<V1Reader::Slice> slices;
    for (const LoadPart& part : parts) slices.push_back({part.tensor, part.extent});
    checkpoint_.v1()->ReadSlices(
        slices, {.on_entry = [&](std::size_t i,
                                 std::span<const std::byte> entry) { LoadPartOf(parts[i], entry); },
                 .on_damage = [&](std::size_t i,
                                  const Error& error) { consumer_.OnDamage(parts[i], error); }});
  }

 private:
  void LoadPartOf(const LoadPart& part, std::span<const std::byte> entry) {
    ThrowIfStopped(stop_);
    const std::string file = checkpoint_.DataFilePath(part.extent->shard);
    std::optional<V1SliceValues> values;
    std::vector<std::string> strings;
    const bool is_string = part.tensor->dtype == DType::kString;
    try {
      values.emplace(entry, *part.tensor, *part.extent, file);
      if (is_string) strings = values->Strings();
    } catch (const Error& error) {
      return consumer_.OnDamage(part, error);
    }
    if (is_string) return consumer_.OnStrings(part, std::move(strings));
    if (!HandOn(part, *values)) {
      return consumer_.OnDamage(part, values->Malformed());
    }
    consumer_.OnPartDone(part);
  }

  // False when the values are malformed.
  bool HandOn(const LoadPart& part, const V1SliceValues& values) {
    if (!window_) window_ = pool_.Acquire();
    std::uint64_t offset = 0;
    try {
      const bool is_good = values.Give(window_.bytes(), !consumer_.TakesMapped(part),
                                       [&](std::span<const std::byte> bytes) {
                                         consumer_.OnBytes(part, offset, bytes);
                                         consumer_.OnWindowDone();
                                         offset += bytes.size();
                                       });
      return is_good;
    } catch (...) {
      // The consumer may still have copies of the window under way.
      consumer_.OnWindowDone();
      throw;
    }
  }

  const StoredCheckpoint& checkpoint_;
  PartConsumer& consumer_;
  BufferPool& pool_;
  const std::stop_token& stop_;
  PinnedBuffer window_;  // taken when it is first needed
};

}  // namespace

void LoadV1(const StoredCheckpoint& checkpoint, std::vector<LoadPart> parts, PartConsumer& consumer,
            BufferPool& pool, const std::stop_token& stop) {
  SortByPlace(parts);
  V1Load load(checkpoint, consumer, pool, stop);
  for (std::size_t begin = 0; begin < parts.size();) {
    std::size_t end = begin + 1;
    while (end < parts.size() && parts[end].extent->shard == parts[begin].extent->shard) ++end;
    load.LoadFile(std::span(parts).subspan(begin, end - begin));
    begin = end;
  }
}

std::uint32_t V1Checksum(const V1Reader& reader, const StoredTensor& tensor,
                         const StoredExtent& extent) {
  const V1Reader::Slice slice{&tensor, &extent};
  std::uint32_t crc = 0;
  const auto add = [&](std::size_t, std::span<const std::byte> entry) {
    const V1SliceValues values(entry, tensor, extent, reader.FilePath(extent.shard));
    if (tensor.dtype == DType::kString) {
      crc = EncodeStrings(values.Strings()).crc32c;
      return;
    }
    std::vector<std::byte> room(64 * kKiB);
    const auto sum = [&](std::span<const std::byte> bytes) { crc = ExtendCrc32c(crc, bytes); };
    if (!values.Give(room, false, sum)) throw values.Malformed();
  };
  const auto fail = [](std::size_t, const Error& error) { throw error; };
  reader.ReadSlices(std::span(&slice, 1), {.on_entry = add, .on_damage = fail});
  return crc;
}

}  // namespace waypost
