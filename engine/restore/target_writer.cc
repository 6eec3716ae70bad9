#include "restore/target_writer.h"

#include <exception>
#include <utility>

#include "base/bytes.h"
#include "base/copy_crc32c.h"
#include "base/crc32c.h"
#include "base/units.h"
#include "format/string_tensor.h"

namespace waypost {
namespace {

// Many shorter runs are quicker copied after one pass of the checksum over all of them.
constexpr std::uint64_t kFusedRunMin = 4 * kKiB;
// Copies to a device are started when there are so many bytes of them, so that the device copies
// while the next bytes are summed.
constexpr std::size_t kStartedTogether = 256 * kKiB;

}  // namespace

void TargetWriter::OnBytes(const LoadPart& part, std::uint64_t offset,
                           std::span<const std::byte> bytes) {
  RestorePiece& piece = work_.pieces[part.user];
  const TensorView& target = work_.targets[piece.target].tensor;
  if (target.dtype() == DType::kString) {  // touched when they are decoded
    strings_[part.user].append(AsText(bytes));
    return;
  }
  work_.ledger.Begin(piece.target);
  auto* const data = static_cast<std::byte*>(target.data());
  Device& device = *work_.devices[piece.target];
  Gathered& gathered = gathered_[&device];
  piece.copier.Copy(offset, offset + bytes.size(),
                    [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
                      gathered.copies.push_back(
                          {data + to, &bytes[static_cast<std::size_t>(from - offset)], size});
                      gathered.bytes += size;
                    });
  if (gathered.targets.empty() || gathered.targets.back() != piece.target) {
    gathered.targets.push_back(piece.target);
  }
  if (gathered.bytes >= kStartedTogether) Start(device, gathered);
}

void TargetWriter::Start(Device& device, Gathered& gathered) {
  Gathered copies = std::exchange(gathered, {});
  try {
    started_.reserve(started_.size() + 1);  // a copy that is under way must not be forgotten
    const Device::Ticket ticket = device.StartCopiesFromHost(copies.copies, work_.marks.Of(device));
    started_.push_back({&device, ticket, std::move(copies.targets)});
  } catch (...) {
    Spoil(copies.targets);
    throw;
  }
}

void TargetWriter::Spoil(std::span<const std::size_t> targets) {
  for (const std::size_t target : targets) work_.ledger.Spoil(target);
}

std::optional<std::uint32_t> TargetWriter::Copy(const LoadPart& part, std::uint64_t offset,
                                                std::span<const std::byte> bytes,
                                                std::uint32_t crc32c) {
  RestorePiece& piece = work_.pieces[part.user];
  if (!CopiesWithChecksum(piece)) return std::nullopt;
  work_.ledger.Begin(piece.target);
  auto* const data = static_cast<std::byte*>(work_.targets[piece.target].tensor.data());
  const auto range = [&](std::uint64_t begin, std::uint64_t end) {
    return bytes.subspan(static_cast<std::size_t>(begin - offset),
                         static_cast<std::size_t>(end - begin));
  };
  std::uint64_t position = offset;
  piece.copier.Copy(
      offset, offset + bytes.size(), [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
        crc32c = ExtendCrc32c(crc32c, range(position, from));
        crc32c = CopyAndExtendCrc32c(crc32c, {data + to, static_cast<std::size_t>(size)},
                                     range(from, from + size));
        position = from + size;
      });
  return ExtendCrc32c(crc32c, range(position, offset + bytes.size()));
}

bool TargetWriter::TakesMapped(const LoadPart& part) const {
  // Strings are copied whole before they are decoded.
  return part.tensor->dtype == DType::kString || CopiesWithChecksum(work_.pieces[part.user]);
}

void TargetWriter::OnPartDone(const LoadPart& part) {
  if (part.tensor->dtype == DType::kString) return OnStrings(part, TakeStrings(part));
  work_.ledger.PartDone(work_.pieces[part.user].target);
}

void TargetWriter::OnStrings(const LoadPart& part, std::vector<std::string> strings) {
  RestorePiece& piece = work_.pieces[part.user];
  auto* const target = static_cast<std::string*>(work_.targets[piece.target].tensor.data());
  work_.ledger.Begin(piece.target);
  piece.copier.Copy(0, strings.size(),
                    [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
                      for (std::uint64_t i = 0; i < size; ++i)
                        target[to + i] = std::move(strings[static_cast<std::size_t>(from + i)]);
                    });
  work_.ledger.PartDone(piece.target);
}

void TargetWriter::OnWindowDone() {
  std::exception_ptr first_error;
  const auto keep_first = [&](auto&& act) {
    try {
      act();
    } catch (...) {
      if (first_error == nullptr) first_error = std::current_exception();
    }
  };
  for (auto& entry : gathered_) {
    if (!entry.second.copies.empty()) keep_first([&] { Start(*entry.first, entry.second); });
  }
  for (const Started& copies : std::exchange(started_, {})) {
    keep_first([&] {
      try {
        copies.device->Wait(copies.ticket);
      } catch (...) {
        Spoil(copies.targets);
        throw;
      }
    });
  }
  if (first_error != nullptr) std::rethrow_exception(first_error);
}

bool TargetWriter::CopiesWithChecksum(const RestorePiece& piece) const {
  return HasByteChecksum(*piece.tensor) && work_.devices[piece.target]->IsHostMemory() &&
         (piece.copier.is_contiguous() || piece.copier.run_units() >= kFusedRunMin);
}

// What the bytes of a string part of a bundle hold.
std::vector<std::string> TargetWriter::TakeStrings(const LoadPart& part) {
  const StoredTensor& stored = *part.tensor;
  const auto count =
      static_cast<std::uint64_t>(ElementCount(SliceShape(stored.shape, part.extent->slice)));
  const std::string bytes = std::exchange(strings_[part.user], {});
  return DecodeStrings(AsBytes(bytes), count, part.extent->crc32c, PartContext(work_.reader, part));
}

}  // namespace waypost
