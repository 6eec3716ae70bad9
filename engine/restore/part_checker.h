// PartChecker reads and checks, and keeps nothing: what `verify_first`, LatestCheckpoint's
// `verified` and `waypost verify` load into.
#pragma once

#include <string>
#include <unordered_map>

#include "restore/load_part.h"

namespace waypost {

class PartChecker : public PartConsumer {
 public:
  explicit PartChecker(const StoredCheckpoint& reader) : reader_(reader) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override;
  // Strings and variants are decoded here, whole, since their checksums are of what is decoded.
  void OnPartDone(const LoadPart& part) override;
  // Throws the error; a derived class may collect it instead.
  void OnDamage(const LoadPart& part, const Error& error) override;
  bool TakesMapped(const LoadPart& /*part*/) const override { return true; }

 protected:
  // What was kept of a part that is given up.
  void Forget(const LoadPart& part) { encoded_.erase(&part); }

 private:
  const StoredCheckpoint& reader_;
  std::unordered_map<const LoadPart*, std::string> encoded_;  // of the parts under way
};

// Every part of a checkpoint.
std::vector<LoadPart> AllParts(const TensorIndex& index);

}  // namespace waypost
