#include "wire/text_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "waypost/error.h"
#include "wire/text_escapes.h"

namespace waypost {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::size_t IdentifierBytes(std::string_view text) {
  if (text.empty() || !IsLetter(text.front())) return 0;
  const auto end = std::ranges::find_if_not(text, [](char c) { return IsLetter(c) || IsDigit(c); });
  return static_cast<std::size_t>(end - text.begin());
}

// The number and whatever is written against it, so that "12x" is one bad number and not two words.
std::size_t NumberBytes(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const bool is_exponent_sign = (text[size] == '+' || text[size] == '-') && size > 0 &&
                                  (text[size - 1] == 'e' || text[size - 1] == 'E');
    if (!IsDigit(text[size]) && !IsLetter(text[size]) && text[size] != '.' && !is_exponent_sign)
      break;
    ++size;
  }
  return size;
}

// std::errc{} with `value` set, invalid_argument, or result_out_of_range.
std::errc ParseDouble(std::string_view word, double& value) {
  const bool is_octal = word.size() > 1 && word[0] == '0' && IsDigit(word[1]);
  if (word.empty() || is_octal) return std::errc::invalid_argument;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  const bool has_suffix = stop + 1 == end && (*stop == 'f' || *stop == 'F');
  if (error == std::errc{} && stop != end && !has_suffix) return std::errc::invalid_argument;
  return error;
}

}  // namespace

TextTokens::TextTokens(std::string_view text, const std::string& path) : rest_(text), path_(path) {
  SkipBlanks();
  word_line_ = line_;
}

void TextTokens::SkipBlanks() {
  bool in_comment = false;
  const auto end = std::ranges::find_if_not(rest_, [&](char c) {
    if (c == '\n') {
      ++line_;
      in_comment = false;
    } else if (c == '#') {
      in_comment = true;
    }
    return in_comment || c == ' ' || (c >= '\t' && c <= '\r');
  });
  rest_.remove_prefix(static_cast<std::size_t>(end - rest_.begin()));
}

std::string_view TextTokens::TakeWord(std::size_t size) {
  const std::string_view word = rest_.substr(0, size);
  word_line_ = line_;
  rest_.remove_prefix(size);
  SkipBlanks();
  return word;
}

bool TextTokens::TryTake(char punctuation) {
  if (!rest_.starts_with(punctuation)) return false;
  TakeWord(1);
  return true;
}

void TextTokens::Take(char punctuation) {
  if (!TryTake(punctuation)) FailExpecting(fmt::format("\"{}\"", punctuation));
}

std::string_view TextTokens::TakeIdentifier() {
  const std::size_t size = IdentifierBytes(rest_);
  if (size == 0) FailExpecting("a field's name");
  return TakeWord(size);
}

void TextTokens::AppendQuoted(std::string& target) {
  word_line_ = line_;
  const char quote = rest_.front();
  std::string_view after = rest_.substr(1);
  while (!after.starts_with(quote)) {
    if (after.empty() || after.front() == '\n') Fail("a string without an end");
    if (after.front() != '\\') {
      target.push_back(after.front());
      after.remove_prefix(1);
    } else if (!TakeEscape(target, after)) {
      Fail("an unknown escape in a string");
    }
  }
  TakeWord(rest_.size() - after.size() + 1);
}

std::string TextTokens::TakeString() {
  const auto at_quote = [this] { return rest_.starts_with('"') || rest_.starts_with('\''); };
  if (!at_quote()) FailExpecting("a string in quotes");
  std::string value;
  while (at_quote()) AppendQuoted(value);
  return value;
}

double TextTokens::TakeDouble() {
  const bool is_negative = TryTake('-');
  const std::string_view word = rest_.substr(0, NumberBytes(rest_));
  double value = 0;
  const std::errc error = ParseDouble(word, value);
  if (error == std::errc::invalid_argument) FailExpecting("a number");
  TakeWord(word.size());
  if (error != std::errc{}) Fail("a number out of range");
  return is_negative ? -value : value;
}

void TextTokens::Fail(const std::string& reason) const {
  throw Error(Code::kDataLoss, fmt::format("{}: line {}: {}", path_, word_line_, reason));
}

void TextTokens::FailExpecting(std::string_view what) const {
  throw Error(Code::kDataLoss, fmt::format("{}: line {}: {} expected", path_, line_, what));
}

}  // namespace waypost
