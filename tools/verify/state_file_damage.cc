#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/units.h"
#include "format/bundle_files.h"
#include "manage/checkpoint_state_files.h"
#include "verify/file_damage.h"
#include "waypost/error.h"
#include "wire/state_text.h"

namespace waypost::tool {
namespace {

// What is larger is no state file.
constexpr std::uint64_t kStateBytesMax = 64 * kMiB;

// Older versions of TensorFlow wrote what is no ASCII as escapes.
std::string WithoutUtf8(std::string_view text) {
  std::string ascii;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      ascii += c;
    } else {
      ascii += fmt::format("\\{:03o}", byte);
    }
  }
  return ascii;
}

void CheckForm(const std::string& text, const CheckpointState& state, Findings& findings) {
  const std::string written = PrintStateText(state);
  if (text == written || text == WithoutUtf8(written)) return;
  const auto differ = std::ranges::mismatch(text, written);
  findings.damage.Add(
      fmt::format("{}: from offset {} on it is not as it is written, though it can be read",
                  findings.path, differ.in1 - text.begin()));
}

}  // namespace

Findings FindStateFileDamage(FileSystem& fs, const std::string& path,
                             std::vector<std::string>& prefixes) {
  Findings findings = {.kind = Findings::Kind::kStateFile, .path = path};
  const std::optional<std::string> text = ReadCommittedFile(fs, path, kStateBytesMax);
  if (!text) throw Error(Code::kNotFound, fmt::format("read {}: there is no such file", path));
  findings.size_bytes = text->size();
  try {
    CheckForm(*text, ParseStateText(*text, path), findings);
    const std::optional<CheckpointState> state =
        ReadCheckpointState(fs, DirectoryOf(path), BaseName(path));
    if (!state) return findings;
    prefixes = NewestFirst(*state);
    findings.count = prefixes.size();
    const std::size_t times = state->all_model_checkpoint_timestamps.size();
    if (times != 0 && times != state->all_model_checkpoint_paths.size()) {
      findings.damage.Add(fmt::format("{}: {} timestamps for {} checkpoints", path, times,
                                      state->all_model_checkpoint_paths.size()));
    }
  } catch (const Error& error) {
    if (error.code() != Code::kDataLoss && error.code() != Code::kInvalidArgument) throw;
    findings.damage.Add(error.what());
  }
  return findings;
}

}  // namespace waypost::tool
