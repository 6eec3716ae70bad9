#include "save/index_builder.h"

#include <utility>

#include "format/bundle_index_writer.h"

namespace waypost {
namespace {

BundleEntry EntryOf(const SaveInput& input, const Stager& stager, std::size_t tensor) {
  const TensorView& view = input.tensors()[tensor].tensor;
  BundleEntry entry;
  entry.dtype_number = static_cast<std::int64_t>(view.dtype());
  entry.shape = view.shape();
  entry.shard = stager.ShardOf(tensor);
  entry.offset = static_cast<std::int64_t>(stager.OffsetOf(tensor));
  entry.size_bytes = static_cast<std::int64_t>(input.sources()[tensor].size_bytes);
  entry.has_crc32c = true;
  if (const EncodedStrings* const strings = input.StringsOf(tensor)) {
    // A string tensor's checksum covers something else than its bytes in the file
    // (docs/format.md).
    entry.crc32c = strings->crc32c;
  } else {
    StagedChecksums checksums = stager.ChecksumsOf(tensor);
    entry.crc32c = checksums.crc32c;
    entry.chunk_crc32c = std::move(checksums.chunk_crc32c);
  }
  return entry;
}

}  // namespace

void BuildIndex(const SaveInput& input, const Stager& stager, const BundleHeader& header,
                const TableWriter::Sink& sink) {
  BundleIndexWriter index(header);
  for (const NamedTensor& tensor : input.tensors()) {
    const Shape& shape = tensor.tensor.shape();
    index.Add({.name = tensor.name,
               .dtype = tensor.tensor.dtype(),
               .shape = shape,
               .full_shape = tensor.slice.IsWhole() ? shape : tensor.full_shape,
               .slice = tensor.slice});
  }
  index.WriteTo(sink, [&](std::size_t tensor) { return EntryOf(input, stager, tensor); });
}

}  // namespace waypost
