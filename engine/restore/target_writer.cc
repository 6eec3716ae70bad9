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
  piece.copier.Copy(
      offset, offset + bytes.size(), [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
        const auto source =
            bytes.subspan(static_cast<std::size_t>(from - offset), static_cast<std::size_t>(size));
        const Device::Ticket ticket = device.StartCopyFromHost(data + to, source, work_.stream);
        if (ticket != 0) pending_.push_back({&device, ticket, piece.target});
      });
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
  RestorePiece& piece = work_.pieces[part.user];
  if (part.tensor->dtype == DType::kString) AssignStrings(part, piece);
  work_.ledger.PartDone(piece.target);
}

void TargetWriter::OnWindowDone() {
  std::exception_ptr first_error;
  for (const PendingCopy& copy : std::exchange(pending_, {})) {
    try {
      copy.device->Wait(copy.ticket);
    } catch (const Error&) {
      if (first_error == nullptr) first_error = std::current_exception();
      work_.ledger.Spoil(copy.target);
    }
  }
  if (first_error != nullptr) std::rethrow_exception(first_error);
}

bool TargetWriter::CopiesWithChecksum(const RestorePiece& piece) const {
  return HasByteChecksum(*piece.tensor) && work_.devices[piece.target]->IsHostMemory() &&
         (piece.copier.is_contiguous() || piece.copier.run_units() >= kFusedRunMin);
}

void TargetWriter::AssignStrings(const LoadPart& part, RestorePiece& piece) {
  const StoredTensor& stored = *part.tensor;
  const auto count =
      static_cast<std::uint64_t>(ElementCount(SliceShape(stored.shape, part.extent->slice)));
  const std::string bytes = std::exchange(strings_[part.user], {});
  std::vector<std::string> strings =
      DecodeStrings(AsBytes(bytes), count, part.extent->crc32c, PartContext(work_.reader, part));
  auto* const target = static_cast<std::string*>(work_.targets[piece.target].tensor.data());
  work_.ledger.Begin(piece.target);
  piece.copier.Copy(0, count, [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    for (std::uint64_t i = 0; i < size; ++i)
      target[to + i] = std::move(strings[static_cast<std::size_t>(from + i)]);
  });
}

}  // namespace waypost
