// waypost verify: reads all of a checkpoint and reports all that is damaged.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "commands.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "inspect/checkpoint.h"
#include "inspect/terminal.h"
#include "inspect/text.h"
#include "restore/part_checker.h"

namespace waypost::tool {
namespace {

struct VerifyOptions {
  std::vector<std::string> prefixes;
  bool json = false;
};

// Collects what is damaged, and goes on.
class DamageCollector final : public PartChecker {
 public:
  DamageCollector(const BundleReader& reader, Progress& progress, std::vector<std::string>& damage)
      : PartChecker(reader), progress_(progress), damage_(damage) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    progress_.Advance(bytes.size());
    PartChecker::OnBytes(part, offset, bytes);
  }
  void OnDamage(const LoadPart& part, const Error& error) override {
    damage_.emplace_back(error.what());
    Forget(part);
  }

 private:
  Progress& progress_;
  std::vector<std::string>& damage_;
};

void CheckMeta(const BundleReader& reader, std::vector<std::string>& damage) {
  const std::optional<BundleHeader::Origin>& origin = reader.index().header().origin;
  if (!origin || origin->meta_size == 0) return;
  FileSystem& fs = PosixFileSystem();
  if (FindMetaGraph(fs, reader.prefix(), *origin)) return;
  const std::string path = MetaGraphPath(reader.prefix());
  const std::optional<FileStat> stat = fs.Stat(path);
  const char* reason = !stat                             ? "it is missing"
                       : stat->size != origin->meta_size ? "its length differs"
                                                         : "checksum mismatch";
  damage.push_back(fmt::format("{}: {} (the index names {} bytes with checksum {:08x})", path,
                               reason, origin->meta_size, origin->meta_crc32c));
}

struct Findings {
  std::size_t tensor_count = 0;
  std::uint64_t size_bytes = 0;
  std::vector<std::string> damage;
};

Findings VerifyCheckpoint(const std::string& prefix) {
  Findings findings;
  try {
    Checkpoint checkpoint(prefix);
    findings.tensor_count = checkpoint.tensors().size();
    findings.size_bytes = checkpoint.size_bytes();
    Progress progress(findings.size_bytes);
    DamageCollector collector(checkpoint.reader(), progress, findings.damage);
    checkpoint.loader().Load(checkpoint.reader(), AllParts(checkpoint.reader().index()), collector);
    CheckMeta(checkpoint.reader(), findings.damage);
  } catch (const Error& error) {
    if (StatusOf(error) != kFoundWanting) throw;
    findings.damage.emplace_back(error.what());  // the index itself
  }
  return findings;
}

void PrintFindings(const std::string& prefix, const Findings& findings, bool as_json) {
  if (as_json) {
    Json damage = Json::array();
    for (const std::string& line : findings.damage) damage.push_back(JsonText(line));
    Print(JsonLine({{"prefix", JsonText(prefix)},
                    {"tensors", findings.tensor_count},
                    {"bytes", findings.size_bytes},
                    {"damage", std::move(damage)}}));
    return;
  }
  for (const std::string& line : findings.damage) PrintLine(line);
  const std::string result =
      findings.damage.empty() ? "no damage" : fmt::format("{} damaged", findings.damage.size());
  PrintLine(fmt::format("{}: {} tensors, {} bytes, {}", prefix, findings.tensor_count,
                        findings.size_bytes, result));
}

ExitStatus Verify(const VerifyOptions& options) {
  ExitStatus status = kDone;
  for (const std::string& prefix : options.prefixes) {
    try {
      const Findings findings = VerifyCheckpoint(prefix);
      PrintFindings(prefix, findings, options.json);
      if (!findings.damage.empty()) status = std::max(status, kFoundWanting);
    } catch (const Error& error) {
      PrintError(error.what());
      status = kUsedWrongly;  // and the other checkpoints are looked at all the same
    }
  }
  return status;
}

}  // namespace

void AddVerify(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("verify", "Read checkpoints and report all damage");
  const auto options = std::make_shared<VerifyOptions>();
  command->add_option("PREFIX", options->prefixes, "The checkpoints")->required();
  command->add_flag("--json", options->json, "Print one line of JSON for each checkpoint");
  command->callback([options, &action] { action = [options] { return Verify(*options); }; });
}

}  // namespace waypost::tool
