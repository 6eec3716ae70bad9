#include "save/stager.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/copy_crc32c.h"
#include "base/crc32c.h"
#include "base/escape.h"
#include "base/units.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::uint64_t ChunkCount(std::uint64_t size_bytes) {
  return AlignUp(size_bytes, kChunkBytes) / kChunkBytes;
}

// Pieces of a window that follow each other and are of one device.
struct DeviceRun {
  Device* device = nullptr;
  std::vector<Device::Copy> copies;
};

// Parts of chunks on one device, each with its tensor.
struct SummedTensors {
  std::vector<Device::SummedPart> parts;
  std::vector<std::size_t> tensors;
};

// A part that has another checksum now, or parts.size().  `scratch`: room for all of them.
std::size_t FindDifference(Device& device, std::span<const Device::SummedPart> parts,
                           std::span<std::byte> scratch) {
  std::size_t differing = parts.size();
  if (const auto ticket = device.StartComparison(parts, differing)) {
    device.Wait(*ticket);
    return differing;
  }
  std::vector<Device::Copy> copies;
  std::size_t end = 0;
  for (const Device::SummedPart& part : parts) {
    copies.push_back({&scratch[end], part.memory, part.size});
    end += part.size;
  }
  device.Wait(device.StartCopiesToHost(copies, 0));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (Crc32c({copies[i].target, copies[i].size}) != parts[i].crc32c) return i;
  }
  return parts.size();
}

}  // namespace

Stager::Filling::Filling(Filling&& other) noexcept
    : id_(other.id_), target_(other.target_), copies_(std::exchange(other.copies_, {})) {}

Stager::Filling& Stager::Filling::operator=(Filling&& other) noexcept {
  if (this == &other) return *this;
  Abandon();
  id_ = other.id_;
  target_ = other.target_;
  copies_ = std::exchange(other.copies_, {});
  return *this;
}

void Stager::Filling::Abandon() noexcept {
  for (const Copy& copy : std::exchange(copies_, {})) {
    try {
      copy.device->Wait(copy.ticket);
    } catch (const std::exception&) {
      // What led here is the error to report.
    }
  }
}

Stager::Stager(const SavePlan& plan, const SaveInput& input, StreamMarks marks)
    : plan_(plan), input_(input), marks_(std::move(marks)), places_(input.sources().size()) {
  std::size_t chunks = 0;
  for (std::size_t shard = 0; shard < plan_.shards.size(); ++shard) {
    for (const PlacedTensor& placed : plan_.shards[shard].tensors) {
      places_[placed.tensor] = {placed.offset, static_cast<int>(shard), chunks};
      chunks += ChunkCount(input_.sources()[placed.tensor].size_bytes);
    }
  }
  for (const SharedTensor& shared : plan_.shared) places_[shared.tensor] = places_[shared.same_as];
  parts_.resize(chunks);
}

std::uint64_t Stager::WindowCount(int shard) const noexcept {
  return AlignUp(FileBytes(shard), kWindowBytes) / kWindowBytes;
}

std::size_t Stager::WindowBytes(const WindowId& id) const noexcept {
  return static_cast<std::size_t>(
      std::min(kWindowBytes, FileBytes(id.shard) - id.window * kWindowBytes));
}

template <typename Visit>
void Stager::ForEachPiece(const WindowId& id, Visit&& visit) const {
  const std::vector<PlacedTensor>& tensors =
      plan_.shards[static_cast<std::size_t>(id.shard)].tensors;
  const std::uint64_t window_begin = id.window * kWindowBytes;
  const std::uint64_t window_end = window_begin + WindowBytes(id);
  // The first tensor that may reach into the window is the last one that begins at or before it.
  // Tensors without bytes may share its offset with it, in front of it or behind.
  auto placed = std::partition_point(
      tensors.begin(), tensors.end(),
      [&](const PlacedTensor& tensor) { return tensor.offset < window_begin; });
  if (placed != tensors.begin()) {
    do {
      --placed;
    } while (placed != tensors.begin() && input_.sources()[placed->tensor].size_bytes == 0);
  }
  for (; placed != tensors.end() && placed->offset < window_end; ++placed) {
    const std::uint64_t size = input_.sources()[placed->tensor].size_bytes;
    const std::uint64_t begin = std::max(placed->offset, window_begin);
    const std::uint64_t end = std::min(placed->offset + size, window_end);
    if (begin >= end) continue;
    visit(Piece{placed->tensor, begin - placed->offset, end - begin, begin - window_begin});
  }
}

// Calls visit(part, source offset, size) for the parts of chunks that the piece holds.
template <typename Visit>
void Stager::ForEachChunkPart(const Piece& piece, Visit&& visit) const {
  const std::size_t first = places_[piece.tensor].first_chunk;
  const std::uint64_t end = piece.begin + piece.size;
  for (std::uint64_t position = piece.begin; position < end;) {
    const std::uint64_t chunk = position / kChunkBytes;
    const std::uint64_t part_end = std::min((chunk + 1) * kChunkBytes, end);
    const std::size_t part = position % kChunkBytes == 0 ? 0 : 1;
    visit(first + static_cast<std::size_t>(chunk), part, position, part_end - position);
    position = part_end;
  }
}

Stager::Filling Stager::Begin(const WindowId& id, std::span<std::byte> target) const {
  WAYPOST_CHECK(target.size() == WindowBytes(id));
  // A device may overwrite what lies between the pieces of one call: there must be none of another
  // device among them.  (The host's are copied when all devices have ended.)
  std::vector<DeviceRun> runs;
  ForEachPiece(id, [&](const Piece& piece) {
    const SaveSource& source = input_.sources()[piece.tensor];
    if (source.device->IsHostMemory()) return;
    if (runs.empty() || runs.back().device != source.device) runs.push_back({source.device, {}});
    runs.back().copies.push_back({&target[piece.target], source.bytes + piece.begin, piece.size});
  });
  Filling filling;
  filling.id_ = id;
  filling.target_ = target;
  filling.copies_.reserve(runs.size());  // a copy that is under way must not be forgotten
  for (const DeviceRun& run : runs) {
    filling.copies_.push_back(
        {run.device, run.device->StartCopiesToHost(run.copies, marks_.Of(*run.device))});
  }
  return filling;
}

void Stager::Complete(Filling filling) {
  const std::span<std::byte> target = filling.target_;
  while (!filling.copies_.empty()) {
    const Filling::Copy copy = filling.copies_.back();
    filling.copies_.pop_back();  // what is left is waited for by its destructor if this one fails
    copy.device->Wait(copy.ticket);
  }
  std::uint64_t filled = 0;
  ForEachPiece(filling.id_, [&](const Piece& piece) {
    const SaveSource& source = input_.sources()[piece.tensor];
    std::memset(target.data() + filled, 0, piece.target - filled);
    filled = piece.target + piece.size;
    ForEachChunkPart(piece, [&](std::size_t chunk, std::size_t part, std::uint64_t position,
                                std::uint64_t size) {
      const auto staged = target.subspan(piece.target + (position - piece.begin), size);
      parts_[chunk][part] = source.device->IsHostMemory()
                                ? CopyAndExtendCrc32c(0, staged, {source.bytes + position, size})
                                : Crc32c(staged);
    });
  });
  std::memset(target.data() + filled, 0, target.size() - filled);
}

void Stager::RequireUnchanged(const WindowId& id, std::span<std::byte> scratch) const {
  std::map<Device*, SummedTensors> on_devices;
  ForEachPiece(id, [&](const Piece& piece) {
    const SaveSource& source = input_.sources()[piece.tensor];
    if (!source.is_borrowed) return;
    ForEachChunkPart(piece, [&](std::size_t chunk, std::size_t part, std::uint64_t position,
                                std::uint64_t size) {
      const std::byte* const bytes = source.bytes + position;
      const std::uint32_t staged = parts_[chunk][part];
      if (!source.device->IsHostMemory()) {
        SummedTensors& summed = on_devices[source.device];
        summed.parts.push_back({bytes, size, staged});
        summed.tensors.push_back(piece.tensor);
      } else if (Crc32c({bytes, size}) != staged) {
        ThrowChanged(piece.tensor);
      }
    });
  });
  for (const auto& [device, summed] : on_devices) {
    const std::size_t differing = FindDifference(*device, summed.parts, scratch);
    if (differing < summed.parts.size()) ThrowChanged(summed.tensors[differing]);
  }
}

void Stager::ThrowChanged(std::size_t tensor) const {
  throw Error(Code::kAborted,
              fmt::format("save tensor {}: it was changed while it was staged, before WaitStaged "
                          "had returned",
                          Printable(input_.tensors()[tensor].name)));
}

StagedChecksums Stager::ChecksumsOf(std::size_t tensor) const {
  const Place& place = places_[tensor];
  const std::uint64_t size = input_.sources()[tensor].size_bytes;
  StagedChecksums checksums;
  for (std::uint64_t begin = 0; begin < size; begin += kChunkBytes) {
    const std::uint64_t chunk_size = std::min(kChunkBytes, size - begin);
    const std::uint64_t file_begin = place.offset + begin;
    const std::uint64_t border = AlignDown(file_begin, kWindowBytes) + kWindowBytes;
    const std::uint64_t in_next_window =
        border < file_begin + chunk_size ? file_begin + chunk_size - border : 0;
    const ChunkParts& parts = parts_[place.first_chunk + begin / kChunkBytes];
    const std::uint32_t crc = CombineCrc32c(parts[0], parts[1], in_next_window);
    if (size > kChunkBytes) checksums.chunk_crc32c.push_back(crc);
    checksums.crc32c = CombineCrc32c(checksums.crc32c, crc, chunk_size);
  }
  return checksums;
}

}  // namespace waypost
