// MergeInput: the checkpoints that are to become one, read and judged before anything is changed.
//
//   BundleIndex of each part -> [MergeInput] -> MergeBundles
//
// Memory:   the indexes of all parts at once.
// Lifetime: `fs` is borrowed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/problems.h"
#include "format/bundle_index.h"
#include "format/table_writer.h"
#include "io/file_system.h"
#include "save/merge_conflicts.h"
#include "wire/bundle_messages.h"

namespace waypost {

class MergeInput {
 public:
  // Throws what waypost/merge.h says, all problems in one message.
  MergeInput(FileSystem& fs, std::span<const std::string> parts, const std::string& prefix);

  // By shard of the merged checkpoint.
  struct File {
    std::string path;         // of the file itself and not of a link to it
    std::string storage_dir;  // that it is in; "": beside the index
  };
  const std::vector<File>& files() const noexcept { return files_; }
  // The parts' prefixes, beside the merged one.
  const std::vector<std::string>& prefixes() const noexcept { return prefixes_; }

  // Throws kAborted when a part was replaced or removed since it was read.
  void RequireUnchanged() const;
  // The merged index.
  void WriteIndex(const BundleHeader& header, const TableWriter::Sink& sink) const;

 private:
  struct Part {
    std::string prefix;
    BundleIndex index;
    int first_shard = 0;  // of the merged checkpoint
  };

  bool AddPrefix(const std::string& part, const std::string& prefix, Problems& problems);
  void ReadPart(const std::string& prefix, Problems& problems);
  void AddFiles(const Part& part, Problems& problems);
  void CompareTensors(Problems& problems) const;
  std::optional<std::string> FindChange() const;

  FileSystem& fs_;
  std::vector<std::string> prefixes_;
  std::vector<Part> parts_;
  std::vector<File> files_;
};

}  // namespace waypost
