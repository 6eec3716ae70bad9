#include "convert/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "convert/bundle_target.h"
#include "convert/safetensors_target.h"
#include "convert/source.h"
#include "convert/source_views.h"
#include "convert/temporary_file.h"
#include "convert/v1_target.h"
#include "format/bundle_names.h"
#include "format/v1_files.h"
#include "manage/same_path.h"
#include "save/v1_save.h"
#include "waypost/error.h"

namespace waypost::tool {
namespace {

// protobuf's messages are no longer.
constexpr std::uint64_t kMetaGraphBytesMax = std::numeric_limits<std::int32_t>::max();

// The files of the target that are there already.
std::vector<std::string> FilesAt(FileSystem& fs, CheckpointKind kind, const std::string& path) {
  if (kind == CheckpointKind::kSafetensors) return SafetensorsAt(fs, path);
  if (kind == CheckpointKind::kV1) {
    std::vector<std::string> files;
    for (const std::string& checkpoint : V1CheckpointsAt(fs, path)) {
      for (const V1File& file : FindV1Files(fs, checkpoint)) files.push_back(file.path);
    }
    return files;
  }
  std::vector<std::string> files;
  // A V1 file of the prefix's own name would be hidden by an index.
  for (const std::string& file : {IndexPath(path), path}) {
    if (const auto stat = fs.Stat(file); stat && !stat->is_directory) files.push_back(file);
  }
  return files;
}

void RequireOther(FileSystem& fs, const Source& source, const ConvertOptions& options,
                  const std::vector<std::string>& at_target) {
  const auto is_source = [&](const std::string& file) {
    const std::optional<FileStat> stat = fs.Stat(file);
    return std::ranges::any_of(source.files(), [&](const std::string& source_file) {
      if (IsSamePath(file, source_file)) return true;
      const std::optional<FileStat> other = stat ? fs.Stat(source_file) : std::nullopt;
      return other && other->device == stat->device && other->inode == stat->inode;
    });
  };
  if (!IsSamePath(options.source, options.target) && !is_source(options.target) &&
      std::ranges::none_of(at_target, is_source)) {
    return;
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("convert {} to {}: they are the same", options.source, options.target));
}

void RequireAbsent(const std::vector<std::string>& at_target, const ConvertOptions& options) {
  if (at_target.empty() || options.force) return;
  throw Error(Code::kAlreadyExists,
              fmt::format("convert to {}: {} is there already; --force replaces it", options.target,
                          at_target.front()));
}

class Conversion {
 public:
  Conversion(FileSystem& fs, const ConvertOptions& options, const std::stop_token& stop)
      : options_(options),
        stop_(stop),
        fs_(fs),
        target_kind_(options.to ? *options.to : KindOfName(options.target)) {
    RequireTargetName(options.target, target_kind_);
    if (!options.metadata.empty() && target_kind_ != CheckpointKind::kSafetensors) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("convert to {}: only safetensors have metadata", options.target));
    }
  }

  ConvertReport Run() {
    try {
      ConvertAll();
    } catch (const Error& error) {
      if (error.code() != Code::kCancelled) throw;
      throw Error(Code::kCancelled,
                  fmt::format("convert to {}: stopped; {}", options_.target,
                              is_committed_ ? "the target is written, but not verified"
                                            : "the target is as it was"));
    }
    return std::move(report_);
  }

 private:
  void ConvertAll() {
    const FoundCheckpoint found = FindCheckpoint(fs_, options_.source);
    source_ = OpenSource(fs_, found);
    const std::vector<std::string> at_target = FilesAt(fs_, target_kind_, options_.target);
    RequireOther(fs_, *source_, options_, at_target);
    RequireAbsent(at_target, options_);
    Selection selection = Select(source_->tensors(), SelectionOptionsOf());
    report_.source_kind = found.kind;
    report_.target_kind = target_kind_;
    report_.tensor_count = selection.tensors.size();
    for (const std::size_t i : selection.tensors) {
      report_.size_bytes += source_->tensors()[i].size_bytes();
    }
    switch (target_kind_) {
      case CheckpointKind::kV1: ToV1(selection); break;
      case CheckpointKind::kV2: ToBundle(selection); break;
      case CheckpointKind::kSafetensors: ToSafetensors(selection); break;
    }
    report_.skipped = std::move(selection.skipped);
  }

  SelectionOptions SelectionOptionsOf() const {
    return {.target = target_kind_,
            .join_slices = options_.shards > 0,
            .skip_unsupported = options_.skip_unsupported};
  }

  void ToSafetensors(const Selection& selection) {
    Progress progress(report_.size_bytes * (options_.verify ? 2 : 1), options_.progress);
    SafetensorsWritten written = WriteSafetensors({fs_, progress, stop_}, *source_, selection,
                                                  {.path = options_.target,
                                                   .shards = options_.shards,
                                                   .metadata = source_->metadata(options_.metadata),
                                                   .verify = options_.verify});
    report_.files = std::move(written.files);
    report_.joined_count = written.joined_count;
    Warn(std::move(written.warnings));
  }

  void ToBundle(const Selection& selection) {
    Progress progress(report_.size_bytes * (options_.verify ? 3 : 2), options_.progress);
    const RunContext context = {fs_, progress, stop_};
    std::string meta_graph = MetaGraph();
    SweepScratch();
    SourceViews views(context, *source_, selection, SelectionOptionsOf(), options_.target);
    report_.joined_count = views.joined_count();
    Warn(WriteBundle(context, views,
                     {.prefix = options_.target,
                      .shards = options_.shards,
                      .meta_graph = std::move(meta_graph)}));
    is_committed_ = true;
    if (options_.verify) VerifyBundle(context, views, options_.target);
    report_.files = BundleFiles(fs_, options_.target);
  }

  void ToV1(const Selection& selection) {
    Progress progress(report_.size_bytes * (options_.verify ? 2 : 1), options_.progress);
    const RunContext context = {fs_, progress, stop_};
    SweepScratch();
    SourceViews views(context, *source_, selection, SelectionOptionsOf(), options_.target);
    report_.joined_count = views.joined_count();
    const std::vector<std::string> replaced = V1CheckpointsAt(fs_, options_.target);
    V1Written written = WriteV1(context, views, options_.target, options_.shards);
    is_committed_ = true;
    if (options_.verify) VerifyV1(context, views, written.path);
    for (const std::string& old : replaced) {
      if (old != written.path) RemoveV1Checkpoint(fs_, old);
    }
    report_.files = std::move(written.files);
    Warn(std::move(written.warnings));
  }

  // A scratch file that a conversion to the same target left when it was killed before its name was
  // gone.
  void SweepScratch() {
    const std::string directory = DirectoryOf(options_.target);
    if (!fs_.Stat(directory)) return;
    Warn(SweepTemporaryFiles(fs_, directory, [&](const std::string& name) {
      return name == BaseName(options_.target);
    }));
  }

  void Warn(std::vector<std::string> warnings) {
    std::ranges::move(warnings, std::back_inserter(report_.warnings));
  }

  std::string MetaGraph() const {
    if (!options_.with_meta) return "";
    const std::optional<std::string> file = source_->MetaGraphFile();
    return file ? ReadFile(fs_, *file, kMetaGraphBytesMax) : "";
  }

  const ConvertOptions& options_;
  std::stop_token stop_;
  FileSystem& fs_;
  CheckpointKind target_kind_;
  std::unique_ptr<Source> source_;
  ConvertReport report_;
  bool is_committed_ = false;  // and a stop can still come
};

}  // namespace

ConvertReport Convert(FileSystem& fs, const ConvertOptions& options, const std::stop_token& stop) {
  return Conversion(fs, options, stop).Run();
}

}  // namespace waypost::tool
