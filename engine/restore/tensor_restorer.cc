#include "restore/tensor_restorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <map>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/escape.h"
#include "format/string_tensor.h"
#include "restore/restore_planner.h"

namespace waypost {
namespace {

// Copies what the loader hands on to where it belongs, and keeps account of each target.
class Assigner final : public PartConsumer {
 public:
  Assigner(const BundleReader& reader, const DeviceRegistry& devices,
           std::span<const NamedTensor> targets, std::vector<RestorePiece>& pieces, void* stream)
      : reader_(reader),
        devices_(devices),
        targets_(targets),
        pieces_(pieces),
        stream_(stream),
        progress_(targets.size()) {
    for (const RestorePiece& piece : pieces_) ++progress_[piece.target].pieces_left;
  }

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    RestorePiece& piece = pieces_[part.user];
    const TensorView& target = targets_[piece.target].tensor;
    progress_[piece.target].begun = true;
    if (target.dtype() == DType::kString) {
      strings_[part.user].append(AsText(bytes));
      return;
    }
    auto* const data = static_cast<std::byte*>(target.data());
    Device& device = devices_.OwnerOf(data);
    piece.copier.Copy(offset, offset + bytes.size(),
                      [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
                        const auto source = bytes.subspan(static_cast<std::size_t>(from - offset),
                                                          static_cast<std::size_t>(size));
                        const Device::Ticket ticket =
                            device.StartCopyFromHost(data + to, source, stream_);
                        if (ticket != 0) pending_.push_back({&device, ticket, piece.target});
                      });
  }

  void OnWindowDone() override {
    std::exception_ptr first_error;
    for (const PendingCopy& copy : std::exchange(pending_, {})) {
      try {
        copy.device->Wait(copy.ticket);
      } catch (const Error&) {
        if (first_error == nullptr) first_error = std::current_exception();
        progress_[copy.target].is_spoilt = true;
      }
    }
    if (first_error != nullptr) std::rethrow_exception(first_error);
  }

  void OnPartDone(const LoadPart& part) override {
    RestorePiece& piece = pieces_[part.user];
    if (targets_[piece.target].tensor.dtype() == DType::kString) AssignStrings(part, piece);
    --progress_[piece.target].pieces_left;
  }

  [[noreturn]] void OnDamage(const LoadPart& /*part*/, const Error& error) override { throw error; }

  std::vector<std::string> Assigned() const {
    return NamesOf([](const Progress& progress) { return progress.IsDone(); });
  }
  std::vector<std::string> Undefined() const {
    return NamesOf([](const Progress& progress) { return progress.begun && !progress.IsDone(); });
  }

 private:
  struct Progress {
    std::size_t pieces_left = 0;
    bool begun = false;
    bool is_spoilt = false;  // a copy to its device failed

    bool IsDone() const { return pieces_left == 0 && !is_spoilt; }
  };
  struct PendingCopy {
    Device* device = nullptr;
    Device::Ticket ticket = 0;
    std::size_t target = 0;
  };

  void AssignStrings(const LoadPart& part, RestorePiece& piece) {
    const StoredTensor& stored = *part.tensor;
    const auto count =
        static_cast<std::uint64_t>(ElementCount(SliceShape(stored.shape, part.extent->slice)));
    const std::string bytes = std::exchange(strings_[part.user], {});
    std::vector<std::string> strings =
        DecodeStrings(AsBytes(bytes), count, part.extent->crc32c, PartContext(reader_, part));
    auto* const target = static_cast<std::string*>(targets_[piece.target].tensor.data());
    piece.copier.Copy(0, count, [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
      for (std::uint64_t i = 0; i < size; ++i)
        target[to + i] = strings[static_cast<std::size_t>(from + i)];
    });
  }

  template <typename Predicate>
  std::vector<std::string> NamesOf(Predicate&& predicate) const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (predicate(progress_[i])) names.push_back(targets_[i].name);
    }
    return names;
  }

  const BundleReader& reader_;
  const DeviceRegistry& devices_;
  std::span<const NamedTensor> targets_;
  std::vector<RestorePiece>& pieces_;
  void* stream_;
  std::vector<Progress> progress_;
  std::vector<PendingCopy> pending_;
  std::map<std::size_t, std::string>
      strings_;  // bytes of the string extents being loaded, by piece
};

// "a, b, c and 4 more"
std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kListedMax = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListedMax); ++i) {
    text += (i == 0 ? "" : ", ") + Printable(names[i]);
  }
  if (names.size() > kListedMax) text += fmt::format(" and {} more", names.size() - kListedMax);
  return text.empty() ? "none" : text;
}

}  // namespace

void RestoreTensors(const BundleReader& reader, TensorLoader& loader, const DeviceRegistry& devices,
                    std::span<const NamedTensor> targets, void* stream,
                    const std::string& context) {
  std::vector<RestorePiece> pieces = PlanRestore(reader.index(), targets, context);
  std::vector<LoadPart> parts;
  parts.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const RestorePiece& piece = pieces[i];
    const bool byte_ranges =
        piece.tensor->dtype != DType::kString && piece.copier.shared_units() != 0;
    parts.push_back(byte_ranges
                        ? CoveringPart(*piece.tensor, *piece.extent, piece.copier.source_begin(),
                                       piece.copier.source_end(), i)
                        : WholeExtent(*piece.tensor, *piece.extent, i));
  }
  Assigner assigner(reader, devices, targets, pieces, stream);
  const auto failure = [&](Code code, std::string_view why) {
    std::vector<std::string> assigned = assigner.Assigned();
    std::vector<std::string> undefined = assigner.Undefined();
    const std::string text = fmt::format("{}: {} (assigned: {}; undefined: {})", context, why,
                                         Listed(assigned), Listed(undefined));
    return RestoreError(code, text, std::move(assigned), std::move(undefined));
  };
  try {
    loader.Load(reader, std::move(parts), assigner);
  } catch (const Error& error) {
    throw failure(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw failure(Code::kResourceExhausted, "out of memory");
  }
}

}  // namespace waypost
