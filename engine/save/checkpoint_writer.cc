#include "save/checkpoint_writer.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "save/stager.h"

namespace waypost {

CheckpointWriter::CheckpointWriter(std::span<const NamedTensor> tensors,
                                   const DeviceRegistry& devices, const SavePlanOptions& options)
    : tensors_(tensors), devices_(devices), stored_(tensors.size()) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorView& tensor = tensors_[i].tensor;
    if (tensor.dtype() != DType::kString) continue;
    const auto* elements = static_cast<const std::string*>(tensor.data());
    strings_[i] =
        EncodeStrings(std::span(elements, static_cast<std::size_t>(tensor.element_count())));
  }
  plan_ = PlanSave(Describe(), options);
}

std::uint64_t CheckpointWriter::SizeBytes(std::size_t tensor) const {
  const TensorView& view = tensors_[tensor].tensor;
  return view.dtype() == DType::kString ? strings_.at(tensor).bytes.size() : view.size_bytes();
}

std::vector<PlannedTensor> CheckpointWriter::Describe() {
  std::vector<PlannedTensor> planned;
  planned.reserve(tensors_.size());
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const NamedTensor& tensor = tensors_[i];
    const bool is_string = tensor.tensor.dtype() == DType::kString;
    planned.push_back({.name = tensor.name,
                       .device = tensor.device,
                       .source = is_string ? nullptr : tensor.tensor.data(),
                       .size_bytes = SizeBytes(i)});
  }
  return planned;
}

std::uint64_t CheckpointWriter::bytes_total() const noexcept {
  return std::accumulate(
      plan_.shards.begin(), plan_.shards.end(), std::uint64_t{0},
      [](std::uint64_t sum, const ShardPlan& shard) { return sum + shard.file_bytes; });
}

std::unique_ptr<ShardWriter> CheckpointWriter::CreateShard(int shard, FileSystem& fs, IoRing& ring,
                                                           BufferPool& pool,
                                                           const std::string& path) const {
  return std::make_unique<ShardWriter>(fs, ring, pool, path,
                                       plan_.shards[static_cast<std::size_t>(shard)].file_bytes);
}

void CheckpointWriter::StageShard(int shard, ShardWriter& writer, void* stream) {
  for (const PlacedTensor& placed : plan_.shards[static_cast<std::size_t>(shard)].tensors) {
    writer.PadTo(placed.offset);
    stored_[placed.tensor].offset = placed.offset;
    stored_[placed.tensor].shard = shard;
    StageTensor(placed.tensor, writer, stream);
  }
  // The tail's window must not be held while the next shard is staged.
  writer.FlushWindow();
}

void CheckpointWriter::StageTensor(std::size_t tensor, ShardWriter& writer, void* stream) {
  Stored& stored = stored_[tensor];
  if (const auto strings = strings_.find(tensor); strings != strings_.end()) {
    const auto* bytes = reinterpret_cast<const std::byte*>(strings->second.bytes.data());
    StageBytes(writer, devices_.OwnerOf(bytes), bytes, strings->second.bytes.size(), stream);
    // A string tensor's checksum covers something else than its bytes in the file (docs/format.md).
    stored.crc32c = strings->second.crc32c;
    return;
  }
  const TensorView& view = tensors_[tensor].tensor;
  const auto* bytes = static_cast<const std::byte*>(view.data());
  StagedChecksums checksums =
      StageBytes(writer, devices_.OwnerOf(bytes), bytes, view.size_bytes(), stream);
  stored.crc32c = checksums.crc32c;
  stored.chunk_crc32c = std::move(checksums.chunk_crc32c);
}

std::string CheckpointWriter::BuildIndex(const BundleHeader& header) {
  for (const SharedTensor& shared : plan_.shared) stored_[shared.tensor] = stored_[shared.same_as];
  BundleIndexWriter index(header);
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const NamedTensor& tensor = tensors_[i];
    BundleEntry entry;
    entry.dtype_number = static_cast<std::int64_t>(tensor.tensor.dtype());
    entry.shape = tensor.tensor.shape();
    entry.shard = stored_[i].shard;
    entry.offset = static_cast<std::int64_t>(stored_[i].offset);
    entry.size_bytes = static_cast<std::int64_t>(SizeBytes(i));
    entry.crc32c = stored_[i].crc32c;
    entry.has_crc32c = true;
    entry.chunk_crc32c = std::move(stored_[i].chunk_crc32c);
    const Shape& full_shape = tensor.slice.IsWhole() ? tensor.tensor.shape() : tensor.full_shape;
    index.Add(tensor.name, full_shape, tensor.slice, std::move(entry));
  }
  return index.Finish();
}

}  // namespace waypost
