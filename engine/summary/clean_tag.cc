#include "summary/clean_tag.h"

#include <locale.h>
#include <wctype.h>

#include "wire/utf8.h"

namespace waypost {
namespace {

bool IsTagCharacter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '/' || c == '.';
}

// Requires: `sequence` is one well-formed sequence of two bytes or more.
wint_t CodePoint(std::string_view sequence) noexcept {
  const auto first = static_cast<unsigned char>(sequence[0]);
  wint_t code_point = first & (0x7FU >> sequence.size());
  for (const char c : sequence.substr(1)) {
    code_point = (code_point << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  }
  return code_point;
}

// Asks the system's own table, whatever the program's locale.  Without one, everything counts as a
// letter.
bool IsLetterOrDigit(std::string_view sequence) {
  const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  if (utf8 == locale_t{}) return true;
  const bool result = iswalnum_l(CodePoint(sequence), utf8) != 0;
  freelocale(utf8);
  return result;
}

}  // namespace

std::string CleanTag(std::string_view name) {
  std::string tag;
  while (!name.empty()) {
    const std::size_t size = std::max<std::size_t>(Utf8SequenceBytes(name), 1);
    const std::string_view character = name.substr(0, size);
    name.remove_prefix(size);
    const bool ascii = static_cast<unsigned char>(character[0]) < 0x80;
    const bool malformed = !ascii && size == 1;
    const bool keep =
        ascii ? IsTagCharacter(character[0]) : malformed || IsLetterOrDigit(character);
    tag += keep ? character : std::string_view("_");
  }
  return tag.substr(std::min(tag.find_first_not_of('/'), tag.size()));
}

}  // namespace waypost
