#include "restore/part_checker.h"

#include <utility>

#include "base/bytes.h"
#include "format/string_tensor.h"
#include "format/variant_check.h"

namespace waypost {
namespace {

void CheckEncoded(const StoredCheckpoint& reader, const LoadPart& part, const std::string& bytes) {
  const auto count =
      static_cast<std::uint64_t>(ElementCount(SliceShape(part.tensor->shape, part.extent->slice)));
  const std::string context = PartContext(reader, part);
  if (part.tensor->dtype == DType::kString) {
    DecodeStrings(AsBytes(bytes), count, part.extent->crc32c, context);
  } else {
    CheckVariants(AsBytes(bytes), count, part.extent->crc32c, context);
  }
}

}  // namespace

void PartChecker::OnBytes(const LoadPart& part, std::uint64_t /*offset*/,
                          std::span<const std::byte> bytes) {
  if (!HasByteChecksum(*part.tensor)) encoded_[&part] += AsText(bytes);
}

void PartChecker::OnPartDone(const LoadPart& part) {
  if (HasByteChecksum(*part.tensor)) return;
  const auto encoded = encoded_.extract(&part);
  try {
    CheckEncoded(reader_, part, encoded ? encoded.mapped() : std::string());
  } catch (const Error& error) {
    OnDamage(part, error);
  }
}

void PartChecker::OnDamage(const LoadPart& part, const Error& error) {
  Forget(part);
  throw error;
}

std::vector<LoadPart> AllParts(const TensorIndex& index) {
  std::vector<LoadPart> parts;
  for (const StoredTensor& tensor : index.tensors()) {
    for (const StoredExtent& extent : tensor.extents) parts.push_back(WholeExtent(tensor, extent));
  }
  return parts;
}

}  // namespace waypost
