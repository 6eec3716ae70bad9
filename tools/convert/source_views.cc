#include "convert/source_views.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "convert/temporary_file.h"
#include "convert/window_stream.h"
#include "format/string_tensor.h"
#include "save/save_planner.h"

namespace waypost::tool {
namespace {

constexpr std::size_t kWindows = 4;

// Of a tensor whose bytes are not there yet: no view may be without an address.
const std::byte placeholder{};

Shape ShapeOf(const SourceTensor& tensor, const Piece& piece) {
  return piece.slice ? SliceShape(tensor.shape, tensor.slices[*piece.slice]) : tensor.shape;
}

TensorView ViewOf(const void* data, DType dtype, Shape shape) {
  // A save only reads, but takes the tensors that a restore fills.
  return {const_cast<void*>(data), dtype, std::move(shape)};
}

}  // namespace

SourceViews::SourceViews(const RunContext& context, Source& source, const Selection& selection,
                         const SelectionOptions& options, const std::string& target)
    : context_(context) {
  for (const std::size_t i : selection.tensors) {
    const SourceTensor& tensor = source.tensors()[i];
    if (KeepsSlices(tensor, options)) {
      for (std::size_t slice = 0; slice < tensor.slices.size(); ++slice) {
        Add(source, tensor, {.tensor = i, .slice = slice});
      }
      continue;
    }
    if (!tensor.slices.empty()) ++joined_count_;
    if (tensor.dtype == DType::kString) {
      AddStrings(source, tensor, i);
    } else {
      Add(source, tensor, {.tensor = i});
    }
  }
  if (!unmapped_.empty()) WriteScratch(source, target);
}

void SourceViews::Add(Source& source, const SourceTensor& tensor, const Piece& piece) {
  const auto on_bytes = [this](std::size_t bytes) { context_.Advance(bytes); };
  if (std::optional<MappedPiece> mapped = source.Map(piece, on_bytes)) {
    if (mapped->file && (files_.empty() || files_.back() != mapped->file)) {
      files_.push_back(std::move(mapped->file));
    }
    Push(tensor, piece, mapped->bytes.data(), mapped->crc32c);
    return;
  }
  const auto count = static_cast<std::uint64_t>(ElementCount(ShapeOf(tensor, piece)));
  if (count > 0) {
    unmapped_.push_back({.view = tensors_.size(),
                         .piece = piece,
                         .size_bytes = count * ElementBytes(tensor.dtype)});
  }
  Push(tensor, piece, &placeholder, 0);
}

void SourceViews::AddStrings(Source& source, const SourceTensor& tensor, std::size_t position) {
  const std::vector<std::string>& strings = strings_.emplace_back(source.Strings(position));
  context_.Advance(0);
  Push(tensor, {.tensor = position}, strings.data(), EncodeStrings(strings).crc32c);
}

void SourceViews::Push(const SourceTensor& tensor, const Piece& piece, const void* data,
                       std::uint32_t crc32c) {
  NamedTensor named = {.name = tensor.name,
                       .tensor = ViewOf(data, tensor.dtype, ShapeOf(tensor, piece))};
  if (piece.slice) {
    named.full_shape = tensor.shape;
    named.slice = tensor.slices[*piece.slice];
  }
  tensors_.push_back(std::move(named));
  crc32c_.push_back(crc32c);
}

void SourceViews::WriteScratch(Source& source, const std::string& target) {
  CreateDirectories(context_.fs, DirectoryOf(target));
  std::uint64_t size_bytes = 0;
  for (Unmapped& unmapped : unmapped_) {
    unmapped.offset = AlignUp(size_bytes, kSmallAlignment);
    size_bytes = unmapped.offset + unmapped.size_bytes;
  }
  // The file goes when nothing has it open or mapped any more.
  std::unique_ptr<DataFile> file;
  {
    TemporaryFile scratch(context_.fs, target, size_bytes);
    file = context_.fs.OpenDataToWrite(scratch.path());
  }
  BufferPool pool(kWindows);
  IoRing ring(context_.fs.MakeIoBackend());
  WindowStream stream(*file, ring, pool);
  for (const Unmapped& unmapped : unmapped_) {
    stream.Align(kSmallAlignment);
    std::uint32_t& crc32c = crc32c_[unmapped.view];
    source.Stream(unmapped.piece, [&](std::span<const std::byte> bytes) {
      crc32c = stream.Append(bytes, crc32c);
      context_.Advance(bytes.size());
    });
  }
  stream.Finish();
  std::shared_ptr<const MappedFile> mapping = file->Map();
  for (const Unmapped& unmapped : unmapped_) {
    TensorView& view = tensors_[unmapped.view].tensor;
    view = ViewOf(mapping->bytes().data() + unmapped.offset, view.dtype(), view.shape());
  }
  files_.push_back(std::move(mapping));
}

void AssignShards(std::vector<NamedTensor>& tensors, std::size_t shards) {
  std::vector<std::uint64_t> sizes;
  sizes.reserve(tensors.size());
  for (const NamedTensor& tensor : tensors) sizes.push_back(tensor.tensor.size_bytes());
  const std::vector<std::size_t> parts = CutEvenly(sizes, shards);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].device = fmt::format("{:05}", parts[i]);
  }
}

}  // namespace waypost::tool
