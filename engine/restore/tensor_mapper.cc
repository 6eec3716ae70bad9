#include "restore/tensor_mapper.h"

#include <fmt/format.h>

#include "io/network_file.h"
#include "restore/mapped_load.h"
#include "restore/part_checker.h"

namespace waypost {

std::string TensorMapper::WhyNot(const StoredTensor& tensor) const {
  if (tensor.is_sliced) return "it is stored in slices";
  const StoredExtent& extent = tensor.extents.front();
  if (extent.offset % ElementBytes(tensor.dtype) != 0) {
    return fmt::format("its offset {} is no multiple of its elements' {} bytes", extent.offset,
                       ElementBytes(tensor.dtype));
  }
  if (IsNetworkFile(reader_.DataFilePath(extent.shard))) return "its file is on a network";
  return "";
}

TensorMapper::View TensorMapper::Map(const StoredTensor& tensor, bool verify) {
  const LoadPart part = WholeExtent(tensor, tensor.extents.front());
  RequirePresent(reader_, part);
  View view = {.file = FileOf(part.extent->shard), .bytes = {}};
  if (verify) {
    const auto is_verified = [&] {
      const std::lock_guard lock(mutex_);
      return verified_.contains(&tensor);
    };
    if (!is_verified()) {
      PartChecker checker(reader_);
      LoadMapped(reader_, *view.file, std::span(&part, 1), checker, {});
      const std::lock_guard lock(mutex_);
      verified_.insert(&tensor);
    }
  }
  if (part.file_end() > view.file->bytes().size()) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: the file was cut when it was mapped", PartContext(reader_, part)));
  }
  view.bytes = view.file->bytes().subspan(static_cast<std::size_t>(part.file_begin()),
                                          static_cast<std::size_t>(part.end));
  return view;
}

std::shared_ptr<const MappedFile> TensorMapper::FileOf(int shard) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const MappedFile>& file = files_[shard];
  if (file == nullptr) file = reader_.RequireDataFile(shard)->Map();
  return file;
}

}  // namespace waypost
