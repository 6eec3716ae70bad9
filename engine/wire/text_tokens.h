// TextTokens takes the words of protobuf's text format off the front of a text: identifiers,
// strings, numbers and punctuation, with whitespace and # comments between them.
//
// Only what a message without messages inside needs.  Untrusted input; every failure is kDataLoss
// "PATH: line N: reason", where N is the line of the word that was taken or wanted.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace waypost {

class TextTokens {
 public:
  // Both must outlive the tokens.
  TextTokens(std::string_view text, const std::string& path);

  bool AtEnd() const noexcept { return rest_.empty(); }
  bool TryTake(char punctuation);
  void Take(char punctuation);
  std::string_view TakeIdentifier();
  // One or more quoted strings, joined and with their escapes resolved.
  std::string TakeString();
  // A decimal number, inf, infinity or nan in any case, with an optional sign and an optional final
  // f.
  double TakeDouble();

  [[noreturn]] void Fail(const std::string& reason) const;

 private:
  void AppendQuoted(std::string& target);
  // Takes `size` bytes and the whitespace and comments after them.
  std::string_view TakeWord(std::size_t size);
  void SkipBlanks();
  [[noreturn]] void FailExpecting(std::string_view what) const;

  std::string_view rest_;
  std::size_t line_ = 1;       // where rest_ begins
  std::size_t word_line_ = 1;  // of the word taken last, or of rest_ when one is missing
  const std::string& path_;
};

}  // namespace waypost
