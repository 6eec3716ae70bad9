#include "inspect/size_text.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "base/units.h"

namespace waypost::tool {
namespace {

constexpr std::uint64_t kSizeMax = kGiB * kMiB;

// The factor that a suffix stands for; 0: none does.
std::uint64_t FactorOf(std::string suffix) {
  for (char& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (suffix.ends_with("ib")) suffix.resize(suffix.size() - 2);
  if (suffix.empty()) return 1;
  if (suffix == "k") return kKiB;
  if (suffix == "m") return kMiB;
  if (suffix == "g") return kGiB;
  return suffix == "t" ? kGiB * kKiB : 0;
}

}  // namespace

std::string SizeText(std::uint64_t bytes) {
  struct Unit {
    std::uint64_t bytes;
    const char* name;
  };
  for (const Unit& unit : {Unit{kGiB, "GiB"}, Unit{kMiB, "MiB"}, Unit{kKiB, "KiB"}}) {
    if (bytes < unit.bytes) continue;
    const double count = static_cast<double>(bytes) / static_cast<double>(unit.bytes);
    return bytes % unit.bytes == 0 ? fmt::format("{} {}", bytes / unit.bytes, unit.name)
                                   : fmt::format("{:.1f} {}", count, unit.name);
  }
  return fmt::format("{} bytes", bytes);
}

std::optional<std::uint64_t> ParseSize(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc()) return std::nullopt;
  const std::uint64_t factor = FactorOf(std::string(end, text.data() + text.size()));
  if (factor == 0 || count > kSizeMax / factor) return std::nullopt;
  return count * factor;
}

}  // namespace waypost::tool
