// Printing of the state file's text, and the parser of its grammar; the words are text_tokens.h's.
#include "wire/state_text.h"

#include <fmt/format.h>

#include <cmath>

#include "wire/text_tokens.h"
#include "wire/utf8.h"

namespace waypost {
namespace {

constexpr std::string_view kModelPath = "model_checkpoint_path";
constexpr std::string_view kAllPaths = "all_model_checkpoint_paths";
constexpr std::string_view kAllTimestamps = "all_model_checkpoint_timestamps";
constexpr std::string_view kLastPreserved = "last_preserved_timestamp";

// Appends the character that `text` begins with, escaped where need be, and returns its bytes.
std::size_t AppendEscaped(std::string& target, std::string_view text) {
  switch (text.front()) {
    case '\n': target += "\\n"; return 1;
    case '\r': target += "\\r"; return 1;
    case '\t': target += "\\t"; return 1;
    case '"': target += "\\\""; return 1;
    case '\'': target += "\\'"; return 1;
    case '\\': target += "\\\\"; return 1;
    default: break;
  }
  const auto byte = static_cast<unsigned char>(text.front());
  const std::size_t size = Utf8SequenceBytes(text);
  if (size == 0 || byte < 0x20 || byte == 0x7F) {
    target += fmt::format("\\{:03o}", byte);
    return 1;
  }
  target += text.substr(0, size);
  return size;
}

void PrintString(std::string& target, std::string_view field, std::string_view value) {
  target += fmt::format("{}: \"", field);
  while (!value.empty()) value.remove_prefix(AppendEscaped(target, value));
  target += "\"\n";
}

// The shortest digits that read back, laid out as Python does.
void PrintDouble(std::string& target, std::string_view field, double value) {
  std::string text = std::isnan(value) ? "nan" : fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  target += fmt::format("{}: {}\n", field, text);
}

class StateParser {
 public:
  StateParser(std::string_view text, const std::string& path) : tokens_(text, path) {}

  CheckpointState Parse() {
    while (!tokens_.AtEnd()) {
      ParseField();
      if (!tokens_.TryTake(',')) tokens_.TryTake(';');
    }
    return std::move(state_);
  }

 private:
  void ParseField() {
    const std::string_view field = tokens_.TakeIdentifier();
    if (field == kModelPath) {
      tokens_.Take(':');
      state_.model_checkpoint_path = tokens_.TakeString();
    } else if (field == kAllPaths) {
      ParseValues([this] { state_.all_model_checkpoint_paths.push_back(tokens_.TakeString()); });
    } else if (field == kAllTimestamps) {
      ParseValues(
          [this] { state_.all_model_checkpoint_timestamps.push_back(tokens_.TakeDouble()); });
    } else if (field == kLastPreserved) {
      tokens_.Take(':');
      state_.last_preserved_timestamp = tokens_.TakeDouble();
    } else {
      tokens_.Fail(fmt::format("unknown field \"{}\"", field.substr(0, 80)));
    }
  }

  // The value of a repeated field: one, or a list in brackets, which may be empty.
  template <typename TakeValue>
  void ParseValues(const TakeValue& take_value) {
    tokens_.Take(':');
    if (!tokens_.TryTake('[')) return take_value();
    if (tokens_.TryTake(']')) return;
    do {
      take_value();
    } while (tokens_.TryTake(','));
    tokens_.Take(']');
  }

  TextTokens tokens_;
  CheckpointState state_;
};

}  // namespace

std::string PrintStateText(const CheckpointState& state) {
  std::string text;
  if (!state.model_checkpoint_path.empty())
    PrintString(text, kModelPath, state.model_checkpoint_path);
  for (const std::string& path : state.all_model_checkpoint_paths)
    PrintString(text, kAllPaths, path);
  for (const double time : state.all_model_checkpoint_timestamps) {
    PrintDouble(text, kAllTimestamps, time);
  }
  if (state.last_preserved_timestamp.value_or(0) != 0) {
    PrintDouble(text, kLastPreserved, *state.last_preserved_timestamp);
  }
  return text;
}

CheckpointState ParseStateText(std::string_view text, const std::string& path) {
  return StateParser(text, path).Parse();
}

}  // namespace waypost
