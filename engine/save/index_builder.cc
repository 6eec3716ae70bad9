#include "save/index_builder.h"

#include <utility>

#include "format/bundle_index.h"

namespace waypost {

std::string BuildIndex(const SaveInput& input, const Stager& stager, const BundleHeader& header) {
  BundleIndexWriter index(header);
  for (std::size_t i = 0; i < input.tensors().size(); ++i) {
    const NamedTensor& tensor = input.tensors()[i];
    BundleEntry entry;
    entry.dtype_number = static_cast<std::int64_t>(tensor.tensor.dtype());
    entry.shape = tensor.tensor.shape();
    entry.shard = stager.ShardOf(i);
    entry.offset = static_cast<std::int64_t>(stager.OffsetOf(i));
    entry.size_bytes = static_cast<std::int64_t>(input.sources()[i].size_bytes);
    entry.has_crc32c = true;
    if (const EncodedStrings* const strings = input.StringsOf(i)) {
      // A string tensor's checksum covers something else than its bytes in the file
      // (docs/format.md).
      entry.crc32c = strings->crc32c;
    } else {
      StagedChecksums checksums = stager.ChecksumsOf(i);
      entry.crc32c = checksums.crc32c;
      entry.chunk_crc32c = std::move(checksums.chunk_crc32c);
    }
    const Shape& full_shape = tensor.slice.IsWhole() ? tensor.tensor.shape() : tensor.full_shape;
    index.Add(tensor.name, full_shape, tensor.slice, entry);
  }
  return index.Finish();
}

}  // namespace waypost
