#include "wire/text_escapes.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/utf8.h"

namespace waypost {
namespace {

constexpr std::string_view kOctalDigits = "01234567";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

// Takes `digits_min` to `digits_max` digits off `rest`.
std::optional<std::uint32_t> TakeNumber(std::string_view& rest, std::string_view digits,
                                        std::size_t digits_min, std::size_t digits_max) {
  std::size_t count = 0;
  while (count < digits_max && count < rest.size() && digits.find(rest[count]) != digits.npos)
    ++count;
  if (count < digits_min) return std::nullopt;
  std::uint32_t value = 0;
  std::from_chars(rest.data(), rest.data() + count, value, digits == kOctalDigits ? 8 : 16);
  rest.remove_prefix(count);
  return value;
}

bool TakeByte(std::string& target, std::string_view& rest, std::string_view digits,
              std::size_t digits_max) {
  const std::optional<std::uint32_t> value = TakeNumber(rest, digits, 1, digits_max);
  if (!value || *value > 0xFF) return false;
  target.push_back(static_cast<char>(*value));
  return true;
}

bool IsSurrogate(std::uint32_t value, std::uint32_t first) {
  return value >= first && value < first + 0x400;
}

bool TakeUnicode(std::string& target, std::string_view& rest, std::size_t digits) {
  std::optional<std::uint32_t> value = TakeNumber(rest, kHexDigits, digits, digits);
  if (value && IsSurrogate(*value, 0xD800) && rest.starts_with("\\u")) {
    rest.remove_prefix(2);
    const std::optional<std::uint32_t> low = TakeNumber(rest, kHexDigits, 4, 4);
    if (!low || !IsSurrogate(*low, 0xDC00)) return false;
    value = 0x10000 + ((*value - 0xD800) << 10) + (*low - 0xDC00);
  }
  if (!value || *value > 0x10FFFF || IsSurrogate(*value, 0xD800) || IsSurrogate(*value, 0xDC00)) {
    return false;
  }
  AppendUtf8(target, *value);
  return true;
}

// What a backslash and `letter` stand for; nullopt for those that are no simple escape.
std::optional<char> SimpleEscape(char letter) {
  switch (letter) {
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case '?':
    case '\\':
    case '\'':
    case '"': return letter;
    default: return std::nullopt;
  }
}

bool TakeAfterBackslash(std::string& target, std::string_view& rest) {
  if (rest.empty()) return false;
  const char letter = rest.front();
  if (kOctalDigits.find(letter) != kOctalDigits.npos)
    return TakeByte(target, rest, kOctalDigits, 3);
  rest.remove_prefix(1);
  if (letter == 'x' || letter == 'X') return TakeByte(target, rest, kHexDigits, 2);
  if (letter == 'u') return TakeUnicode(target, rest, 4);
  if (letter == 'U') return TakeUnicode(target, rest, 8);
  const std::optional<char> simple = SimpleEscape(letter);
  if (simple) target.push_back(*simple);
  return simple.has_value();
}

}  // namespace

bool TakeEscape(std::string& target, std::string_view& rest) {
  std::string_view after = rest.substr(1);
  if (!TakeAfterBackslash(target, after)) return false;
  rest = after;
  return true;
}

}  // namespace waypost
