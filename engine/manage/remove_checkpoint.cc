// RemoveCheckpoint: deletes the files of one checkpoint as retention does it (retire.h).
#include <optional>

#include "manage/checkpoint_state_files.h"
#include "save/prefix_lock.h"
#include "save/retire.h"

namespace waypost {

void RemoveCheckpoint(FileSystem& fs, const std::string& prefix, SaverDef::Version version,
                      const std::string& meta_graph_suffix) {
  RequireFileName(prefix, "remove");
  const std::optional<FileStat> directory = fs.Stat(DirectoryOf(prefix));
  if (!directory || !directory->is_directory) return;
  if (version == SaverDef::kV2) {
    RetireCheckpoint(fs, prefix, meta_graph_suffix, NewSaveId());
    fs.SyncDirectory(DirectoryOf(prefix));
  } else {
    RetireV1Checkpoint(fs, prefix, meta_graph_suffix);
  }
}

}  // namespace waypost
