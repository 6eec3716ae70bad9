// Random damage of a file: what a bad disk, a bad cable, a wrong copy or a person does to it.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace waypost {

enum class DamageKind {
  kBits,       // 1 to 8 bits flipped, anywhere
  kByte,       // one byte, any value
  kZeroed512,  // an aligned block of 512 bytes, or of what the file has
  kZeroed4096,
  kSwapped,     // two blocks of the file change places
  kDuplicated,  // a block is also where another was
  kOtherFile,   // a block is another file's, from the same place
  kOtherStep,   // the whole file is that of another step
  kTruncated,   // anywhere
  kAppended,    // up to 5000 bytes
  kInserted,    // one byte to 16
  kRemoved,
  kMissing,
};
inline constexpr DamageKind kAllDamage[] = {
    DamageKind::kBits,       DamageKind::kByte,      DamageKind::kZeroed512,
    DamageKind::kZeroed4096, DamageKind::kSwapped,   DamageKind::kDuplicated,
    DamageKind::kOtherFile,  DamageKind::kOtherStep, DamageKind::kTruncated,
    DamageKind::kAppended,   DamageKind::kInserted,  DamageKind::kRemoved,
    DamageKind::kMissing};
const char* NameOf(DamageKind kind);

// The content of a file after one damage; nullopt when it is gone.
struct Damage {
  DamageKind kind = DamageKind::kBits;
  std::optional<std::string> content;
};

// `others`: contents that blocks may come from; `other_step`: the same file's of another step, if
// there is one.  nullopt when this kind changes nothing here.
std::optional<Damage> MakeDamage(DamageKind kind, const std::string& original,
                                 const std::vector<std::string>& others,
                                 const std::optional<std::string>& other_step,
                                 std::mt19937_64& random);

// Whether a byte within [offset, offset + size) differs, or is there in one of the two only.
bool DiffersWithin(std::string_view original, std::string_view damaged, std::uint64_t offset,
                   std::uint64_t size);

}  // namespace waypost
