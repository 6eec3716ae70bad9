#include "base/escape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace waypost {
namespace {

struct Utf8Rule {
  unsigned char lead_min, lead_max;
  unsigned char second_min, second_max;  // also excludes overlong forms, surrogates and C1 controls
  std::size_t size;
};

// The well-formed sequences of more than one byte (Unicode 15, table 3-7), without U+0080 to
// U+009F.
constexpr Utf8Rule kUtf8Rules[] = {
    {0xC2, 0xC2, 0xA0, 0xBF, 2}, {0xC3, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

// Bytes of the printable sequence of several bytes at the front of `text`; 0 when there is none.
std::size_t SequenceBytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (const Utf8Rule& rule : kUtf8Rules) {
    if (byte(0) < rule.lead_min || byte(0) > rule.lead_max) continue;
    if (text.size() < rule.size) return 0;
    if (byte(1) < rule.second_min || byte(1) > rule.second_max) return 0;
    for (std::size_t i = 2; i < rule.size; ++i) {
      if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
    }
    return rule.size;
  }
  return 0;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c >= 0x20 && c < 0x7F) {
      result += c;
    } else if (const std::size_t size = SequenceBytes(text.substr(i)); size != 0) {
      result += text.substr(i, size);
      i += size - 1;
    } else {
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kListedMax = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListedMax); ++i) {
    text += (i == 0 ? "" : ", ") + Printable(names[i]);
  }
  if (names.size() > kListedMax) text += fmt::format(" and {} more", names.size() - kListedMax);
  return text.empty() ? "none" : text;
}

}  // namespace waypost
