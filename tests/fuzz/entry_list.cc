#include "fuzz/entry_list.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/bytes.h"
#include "format/table_reader.h"

namespace waypost {

TableEntries EntriesOf(std::span<const std::byte> list) {
  ByteReader reader(list);
  const auto take = [&]() -> std::optional<std::string> {
    const auto size = reader.ReadFixed<std::uint8_t>();
    if (!size) return std::nullopt;
    return std::string(AsText(*reader.ReadBytes(std::min<std::size_t>(*size, reader.remaining()))));
  };
  TableEntries entries;
  while (const auto key = take()) entries[*key] = take().value_or("");
  return entries;
}

std::string EntryListOf(const std::string& table_file) {
  constexpr std::size_t kMax = std::numeric_limits<std::uint8_t>::max();
  std::string list;
  TableReader(AsBytes(table_file), "seed")
      .ForEach([&](std::string_view key, std::span<const std::byte> value) {
        for (const std::string_view text : {key.substr(0, kMax), AsText(value).substr(0, kMax)}) {
          list.push_back(static_cast<char>(text.size()));
          list += text;
        }
      });
  return list;
}

CheckpointParts CheckpointPartsOf(std::span<const std::byte> input) {
  ByteReader reader(input);
  const std::uint64_t wanted = reader.ReadFixed<std::uint16_t>().value_or(0);
  const auto list = *reader.ReadBytes(std::min<std::uint64_t>(wanted, reader.remaining()));
  return {.entries = EntriesOf(list), .data = std::string(AsText(reader.rest()))};
}

std::string CheckpointInput(const std::string& index_file, std::string_view data) {
  const std::string list = EntryListOf(index_file);
  std::string input;
  AppendFixed(input, static_cast<std::uint16_t>(list.size()));
  return input.append(list).append(data);
}

}  // namespace waypost
