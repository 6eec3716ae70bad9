#include "damage/damage.h"

#include <algorithm>
#include <utility>

namespace waypost {
namespace {

class Maker {
 public:
  Maker(const std::string& original, std::mt19937_64& random)
      : content_(original), random_(random) {}

  std::string Take() { return std::move(content_); }

  void FlipBits() {
    const std::size_t count = 1 + Below(8);
    // Half of the time close to each other, as a bad cell or cable has them.
    const std::size_t begin = Place();
    const std::size_t range =
        Below(2) == 0 ? std::min<std::size_t>(8, content_.size() - begin) : content_.size() - begin;
    for (std::size_t i = 0; i < count; ++i) {
      char& byte = content_[begin + Below(range)];
      byte = static_cast<char>(byte ^ (1 << Below(8)));
    }
  }
  void SetByte() { content_[Place()] = static_cast<char>(Below(256)); }
  void Zero(std::size_t size) {
    const auto [begin, length] = Block(size);
    std::fill_n(content_.begin() + static_cast<std::ptrdiff_t>(begin), length, '\0');
  }
  void Swap() {
    const auto [a, b, length] = TwoBlocks();
    std::swap_ranges(At(a), At(a + length), At(b));
  }
  void Duplicate() {
    const auto [a, b, length] = TwoBlocks();
    std::copy(At(a), At(a + length), At(b));
  }
  void TakeBlockOf(const std::string& other) {
    const auto [begin, length] = Block(Below(2) == 0 ? 512 : 4096);
    if (begin < other.size()) {
      const std::size_t taken = std::min(length, other.size() - begin);
      content_.replace(begin, taken, other, begin, taken);
    }
  }
  void Truncate() { content_.resize(Below(content_.size())); }
  void Append() {
    std::string more(1 + Below(5000), '\0');
    // Zeros as often as anything: what is left of a longer file, or a preallocated one.
    if (Below(2) == 0) {
      for (char& byte : more) byte = static_cast<char>(Below(256));
    }
    content_ += more;
  }
  void Insert() { content_.insert(Place(), 1 + Below(16), static_cast<char>(Below(256))); }
  void Remove() { content_.erase(Place(), 1 + Below(16)); }

 private:
  struct Range {
    std::size_t begin;
    std::size_t length;
  };
  struct Ranges {
    std::size_t a;
    std::size_t b;
    std::size_t length;
  };

  std::size_t Below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  std::size_t Place() { return Below(content_.size()); }
  std::string::iterator At(std::size_t place) {
    return content_.begin() + static_cast<std::ptrdiff_t>(place);
  }
  Range Block(std::size_t size) {
    const std::size_t begin = Place() / size * size;
    return {begin, std::min(size, content_.size() - begin)};
  }
  // Of the same length and apart; of small files smaller ones.
  Ranges TwoBlocks() {
    std::size_t size = Below(2) == 0 ? 512 : 4096;
    while (size > 1 && content_.size() < 2 * size) size /= 2;
    const std::size_t count = content_.size() / size;
    if (count < 2) return {0, 0, 0};
    const std::size_t a = Below(count);
    const std::size_t b = (a + 1 + Below(count - 1)) % count;
    return {a * size, b * size, size};
  }

  std::string content_;
  std::mt19937_64& random_;
};

}  // namespace

const char* NameOf(DamageKind kind) {
  switch (kind) {
    case DamageKind::kBits: return "bits flipped";
    case DamageKind::kByte: return "byte changed";
    case DamageKind::kZeroed512: return "512 bytes zeroed";
    case DamageKind::kZeroed4096: return "4096 bytes zeroed";
    case DamageKind::kSwapped: return "blocks swapped";
    case DamageKind::kDuplicated: return "block duplicated";
    case DamageKind::kOtherFile: return "block of another file";
    case DamageKind::kOtherStep: return "file of another step";
    case DamageKind::kTruncated: return "truncated";
    case DamageKind::kAppended: return "bytes appended";
    case DamageKind::kInserted: return "bytes inserted";
    case DamageKind::kRemoved: return "bytes removed";
    case DamageKind::kMissing: return "missing";
  }
  return "";
}

std::optional<Damage> MakeDamage(DamageKind kind, const std::string& original,
                                 const std::vector<std::string>& others,
                                 const std::optional<std::string>& other_step,
                                 std::mt19937_64& random) {
  if (kind == DamageKind::kMissing) return Damage{kind, std::nullopt};
  Damage damage{kind, other_step.value_or(original)};
  if (kind == DamageKind::kAppended || (kind != DamageKind::kOtherStep && !original.empty())) {
    Maker maker(original, random);
    switch (kind) {
      case DamageKind::kBits: maker.FlipBits(); break;
      case DamageKind::kByte: maker.SetByte(); break;
      case DamageKind::kZeroed512: maker.Zero(512); break;
      case DamageKind::kZeroed4096: maker.Zero(4096); break;
      case DamageKind::kSwapped: maker.Swap(); break;
      case DamageKind::kDuplicated: maker.Duplicate(); break;
      case DamageKind::kOtherFile:
        if (!others.empty()) maker.TakeBlockOf(others[random() % others.size()]);
        break;
      case DamageKind::kTruncated: maker.Truncate(); break;
      case DamageKind::kAppended: maker.Append(); break;
      case DamageKind::kInserted: maker.Insert(); break;
      case DamageKind::kRemoved: maker.Remove(); break;
      case DamageKind::kOtherStep:
      case DamageKind::kMissing: break;
    }
    damage.content = maker.Take();
  } else if (original.empty()) {
    return std::nullopt;
  }
  if (damage.content == original) return std::nullopt;
  return damage;
}

bool DiffersWithin(std::string_view original, std::string_view damaged, std::uint64_t offset,
                   std::uint64_t size) {
  const auto part = [&](std::string_view content) {
    return offset < content.size()
               ? content.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size))
               : std::string_view();
  };
  return part(original) != part(damaged);
}

}  // namespace waypost
