#include "verify/checkpoint_damage.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/crc32c.h"
#include "base/escape.h"
#include "format/bundle_files.h"
#include "format/bundle_names.h"
#include "format/v1_reader.h"
#include "inspect/terminal.h"
#include "restore/bundle_reader.h"
#include "restore/open_checkpoint.h"
#include "restore/part_checker.h"
#include "restore/tensor_loader.h"
#include "verify/padding.h"

namespace waypost::tool {
namespace {

// Two windows in flight while two are looked at.
constexpr std::size_t kWindows = 4;

// A V1 file and what is wrong with a part of it.
using TableDamage = std::set<std::pair<std::string, std::string>>;

// Collects what is damaged, and goes on.
class DamageCollector final : public PartChecker {
 public:
  // `padding`: of the parts that are padding; may be null.
  DamageCollector(const StoredCheckpoint& checkpoint, const Padding* padding, Progress& progress,
                  DamageLines& damage)
      : PartChecker(checkpoint),
        checkpoint_(checkpoint),
        padding_(padding),
        progress_(progress),
        damage_(damage) {}

  void OnBytes(const LoadPart& part, std::uint64_t offset,
               std::span<const std::byte> bytes) override {
    progress_.Advance(bytes.size());
    PartChecker::OnBytes(part, offset, bytes);
  }
  // Of padding also which byte it is.
  std::optional<std::uint32_t> Copy(const LoadPart& part, std::uint64_t offset,
                                    std::span<const std::byte> bytes,
                                    std::uint32_t crc32c) override {
    if (!Padding::IsPadding(part)) return std::nullopt;
    const auto changed =
        std::ranges::find_if(bytes, [](std::byte byte) { return byte != std::byte{0}; });
    if (changed != bytes.end()) {
      changed_.try_emplace(&part, offset + static_cast<std::uint64_t>(changed - bytes.begin()));
    }
    return ExtendCrc32c(crc32c, bytes);
  }
  void OnDamage(const LoadPart& part, const Error& error) override {
    const auto changed = changed_.find(&part);
    damage_.Add(changed == changed_.end() ? error.what()
                                          : padding_->Describe(part, changed->second));
    if (checkpoint_.v1() != nullptr) NoteBlock(part, error.what());
    Forget(part);
  }

  // Damaged blocks of V1's files that tensors were met in.
  const TableDamage& told() const noexcept { return told_; }

 private:
  void NoteBlock(const LoadPart& part, std::string_view line) {
    const std::string path = checkpoint_.DataFilePath(part.extent->shard);
    const std::string front = fmt::format("{}: tensor {}: ", path, Printable(part.tensor->name));
    if (line.starts_with(front)) told_.emplace(path, line.substr(front.size()));
  }

  const StoredCheckpoint& checkpoint_;
  const Padding* padding_;
  Progress& progress_;
  DamageLines& damage_;
  TableDamage told_;
  std::unordered_map<const LoadPart*, std::uint64_t> changed_;  // the first byte, from its begin
};

void CheckMeta(FileSystem& fs, const std::string& prefix, const BundleHeader::Origin& origin,
               DamageLines& damage) {
  if (origin.meta_size == 0 || FindMetaGraph(fs, prefix, origin)) return;
  // A save may have replaced the checkpoint, and its .meta, while this one was looked at.
  const std::optional<BundleHeader> now = CommittedHeader(fs, prefix);
  if (!now || !now->origin || now->origin->save_id != origin.save_id) return;
  const std::string path = MetaGraphPath(prefix);
  const std::optional<FileStat> stat = fs.Stat(path);
  const char* reason = !stat                            ? "it is missing"
                       : stat->size != origin.meta_size ? "its length differs"
                                                        : "checksum mismatch";
  damage.Add(fmt::format("{}: {} (the index names {} bytes with checksum {:08x})", path, reason,
                         origin.meta_size, origin.meta_crc32c));
}

// What no tensor has met: blocks that hold none, bytes of no block.
void CheckTables(const V1Reader& v1, const TableDamage& told, DamageLines& damage) {
  for (const V1Reader::Damage& found : v1.FindDamage()) {
    if (told.contains({found.file, found.reason})) continue;
    damage.Add(fmt::format("{}: {}", found.file, found.reason));
  }
}

class CheckpointCheck {
 public:
  CheckpointCheck(FileSystem& fs, const std::string& prefix, Findings& findings)
      : fs_(fs), findings_(findings), checkpoint_(OpenCheckpoint(fs, prefix)) {}

  void Run(const ProgressOutput& output) {
    std::vector<TensorIndex::TensorReference> tensors;
    if (const BundleReader* const bundle = checkpoint_->bundle()) {
      BundleIndex::Survey survey = bundle->index().TakeSurvey();
      for (std::string& line : survey.damage) findings_.damage.Add(std::move(line));
      tensors = std::move(survey.tensors);
      // With an index that lacks tensors nobody can say what is padding.
      if (bundle->index().header().origin && findings_.damage.empty()) {
        padding_.emplace(fs_, *bundle, tensors);
        for (const std::string& line : padding_->damage()) findings_.damage.Add(line);
      }
    } else {
      tensors = checkpoint_->index().tensors();
    }
    findings_.count = tensors.size();
    const TableDamage told = CheckData(tensors, output);
    if (const V1Reader* const v1 = checkpoint_->v1()) {
      findings_.is_v1 = true;
      CheckTables(*v1, told, findings_.damage);
    } else if (const auto& origin = checkpoint_->bundle()->index().header().origin) {
      CheckMeta(fs_, checkpoint_->prefix(), *origin, findings_.damage);
    }
  }

 private:
  TableDamage CheckData(std::span<const TensorIndex::TensorReference> tensors,
                        const ProgressOutput& output) {
    std::vector<LoadPart> parts;
    for (const StoredTensor& tensor : tensors) {
      for (const StoredExtent& extent : tensor.extents) {
        parts.push_back(WholeExtent(tensor, extent));
        findings_.size_bytes += extent.size_bytes;
      }
    }
    if (padding_) parts.insert(parts.end(), padding_->parts().begin(), padding_->parts().end());
    Progress progress(findings_.size_bytes, output);
    DamageCollector collector(*checkpoint_, padding_ ? &*padding_ : nullptr, progress,
                              findings_.damage);
    BufferPool pool(kWindows);
    TensorLoader(fs_, pool).Load(*checkpoint_, std::move(parts), collector);
    findings_.rate = progress.Rate();
    return collector.told();
  }

  FileSystem& fs_;
  Findings& findings_;
  const std::unique_ptr<StoredCheckpoint> checkpoint_;
  std::optional<Padding> padding_;
};

}  // namespace

Findings FindCheckpointDamage(FileSystem& fs, const std::string& prefix,
                              const ProgressOutput& output) {
  Findings findings = {.kind = Findings::Kind::kCheckpoint, .path = prefix};
  const bool is_there = fs.Stat(IndexPath(prefix)) || !FindV1Files(fs, prefix).empty();
  try {
    CheckpointCheck(fs, prefix, findings).Run(output);
  } catch (const Error& error) {
    const bool is_missing = is_there && error.code() == Code::kNotFound;  // one of V1's files
    if (error.code() != Code::kDataLoss && !is_missing) throw;
    findings.damage.Add(error.what());
  }
  return findings;
}

}  // namespace waypost::tool
